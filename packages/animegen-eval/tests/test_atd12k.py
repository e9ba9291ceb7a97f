"""ATD-12K: a miniature of its layout, its subsets and regions, and published scores that are never mixed with ours."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from animegen.errors import InputError
from animegen.imageio import write_image
from animegen.media import Box
from animegen.registry import Registry
from animegen_eval import published
from animegen_eval.evaluation import Evaluator, Request
from animegen_eval.profiles import find_profile
from animegen_eval.report import datasets
from animegen_eval.report.evaluations import read_evaluation
from animegen_eval.samples import atd12k
from animegen_eval.samples.pictures import Memory
from animegen_eval.samples.sources import Source
from animegen_eval.summary import Figure
from animegen_eval.tables import Evaluation

SMALL = (96, 54)
"""In place of 960 × 540, for speed; the rule that brings pictures to that size is tested by itself."""
LEVELS = {"Disney_aladdin_1": 0, "Disney_pooh_2": 2, "Japan_film_3": 1, "Japan_other_4": 1}


def frames(index: int, size: tuple[int, int] = SMALL) -> list[np.ndarray]:
    """A disc with an outline that goes to the right; the further, the higher the index. (54, 96, 3) uint8."""
    y, x = np.mgrid[: size[1], : size[0]]
    found = []
    for step in range(3):
        distance = np.hypot(x - 30 - 3 * (index + 1) * step, y - size[1] / 2)
        picture = np.where(distance[..., None] < 12, (60, 50 + 30 * index, 90), (220, 225, 235))
        picture[np.abs(distance - 12) < 1.5] = 20
        found.append(picture.astype(np.uint8))
    return found


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two triplets of each origin, annotated, at 96 × 54."""
    monkeypatch.setattr(atd12k, "SIZE", SMALL)
    for index, (name, level) in enumerate(LEVELS.items()):
        triplet(tmp_path / "ATD" / "test_2k_540p" / name, frames(index))
        region = {"x": 401, "y": 201, "width": 1001, "height": 799}
        annotate(tmp_path / "ATD", name, {"image_size": [1920, 1080], "motion_RoI": region, "level": level})
    return tmp_path / "ATD"


def triplet(folder: Path, pictures: list[np.ndarray], suffix: str = ".png") -> None:
    for index, picture in enumerate(pictures, start=1):
        write_image(folder / f"frame{index}{suffix}", picture)


def annotate(root: Path, name: str, content: Any) -> Path:
    path = root / "test_2k_annotations" / name / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def find(*paths: Path) -> tuple[list[Source], list[str]]:
    notes: list[str] = []
    return atd12k.find_triplets(paths, Memory(1 << 26), note=notes.append), notes


@pytest.fixture
def evaluate(registry: Registry, tmp_path: Path) -> Callable[..., Evaluation]:
    def run(*paths: Path, interpolators: tuple[str, ...] = ("flow", "crossfade"), **more: Any) -> Evaluation:
        request = Request(tuple(paths), "atd12k", interpolators=interpolators, device="cpu", **more)
        with Evaluator(request, registry, out=tmp_path / "out") as evaluator:
            return evaluator.run()

    return run


def figure(evaluation: Evaluation, quantity: str, config: str, subset: str = "", variant: str = "middle") -> Figure:
    (found,) = [
        one
        for one in evaluation.summary.figures
        if (one.quantity, one.config, one.stratum, one.variant, one.control)
        == (quantity, config, subset, variant, False)
    ]
    return found


def test_triplets_are_the_sorted_folders_with_their_subsets(dataset: Path) -> None:
    for place in (dataset, dataset / "test_2k_540p"):
        sources, notes = find(place)
        assert [source.name for source in sources] == sorted(LEVELS)
        assert [source.subsets for source in sources] == [
            ("west", "easy"), ("west", "hard"), ("east", "medium"), ("east", "medium"),
        ]  # fmt: skip
        assert not notes
        assert all(np.array_equal(a, b) for a, b in zip(sources[2].pictures, frames(2), strict=True))
    counts = {name: len(keys) for name, keys in atd12k.members(sources).items()}
    assert counts == {"east": 2, "west": 2, "easy": 1, "medium": 2, "hard": 1}


def test_regions_are_divided_and_rounded_down_as_the_original_does(dataset: Path, tmp_path: Path) -> None:
    (source, *_), _ = find(dataset)
    assert source.region == Box(20, 10, 20 + 50, 10 + 39)  # each number by 20, side by side, never the far corner
    other = annotate(tmp_path, "Japan_x", {"image_size": [96, 54], "level": 0, "motion_RoI": dict.fromkeys(
        ("x", "y", "width", "height"), 90)})  # fmt: skip
    assert atd12k.read_annotation(other) == {"level": "easy", "region": None}  # beyond the picture nothing is left


def test_the_published_size_is_that_of_pillow_s_lanczos(tmp_path: Path) -> None:
    pictures = frames(0, (320, 200))
    triplet(tmp_path / "test_2k_original" / "Japan_a", pictures)
    (source,), notes = find(tmp_path)
    assert source.pictures.size == (960, 540)
    for made, picture in zip(source.pictures, pictures, strict=True):
        wanted = PIL.Image.fromarray(picture).resize((960, 540), PIL.Image.Resampling.LANCZOS)
        assert np.array_equal(made, np.asarray(wanted))
    (last,) = source.pictures.at([2])
    assert np.array_equal(last, list(source.pictures)[2])
    assert any("1 of 1 triplets are brought to 960 × 540 (Lanczos)" in note for note in notes)
    assert any("no test_2k_annotations" in note for note in notes)


def test_frames_may_be_jpeg_and_other_files_do_not_count(dataset: Path) -> None:
    folder = dataset / "test_2k_540p" / "Japan_jpeg_5"
    triplet(folder, frames(1), ".jpg")
    (folder / "Thumbs.db").write_bytes(b"x")
    write_image(folder / "frame4.jpg", frames(0)[0])
    write_image(folder / "frame2.png", frames(1)[1])
    sources, notes = find(dataset)
    source = next(source for source in sources if source.name == "Japan_jpeg_5")
    assert len(source.pictures) == 3
    assert np.array_equal(next(source.pictures.at([1])), frames(1)[1])  # of two, the one without loss
    assert source.subsets == ("east",)
    assert any("1 of 5 triplets are not annotated (Japan_jpeg_5)" in note for note in notes)


def test_of_several_test_folders_the_published_one_is_scored(dataset: Path) -> None:
    triplet(dataset / "test_2k_original" / "Japan_a", frames(0))
    (dataset / "test_2k_pre_calc_sgm_flows").mkdir()
    sources, notes = find(dataset)
    assert len(sources) == 4 and any("test_2k_540p is scored" in note for note in notes)
    (dataset / "test_2k_540p").rename(dataset / "test_2k_other")
    with pytest.raises(InputError, match="test_2k_original, test_2k_other"):
        find(dataset)


def test_the_training_part_is_named_and_told(tmp_path: Path) -> None:
    triplet(tmp_path / "train_10k" / "Japan_a", frames(0), ".jpg")
    with pytest.raises(InputError, match="training part") as caught:
        find(tmp_path)
    assert str(tmp_path / "train_10k") in " ".join(caught.value.hints)
    sources, notes = find(tmp_path / "train_10k")
    assert any("training part" in note for note in notes)
    assert "they are of the training part" in published.differences(sources)


def test_folders_with_other_names_are_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("one", "Japan_two"):
        triplet(tmp_path / "mine" / name, frames(0))
    sources, _ = find(tmp_path / "mine")
    assert [source.name for source in sources] == ["Japan_two", "one"]
    assert all(source.pictures.size == SMALL and not source.subsets for source in sources)
    assert any("1 clips do not have names of ATD-12K (one)" in text for text in published.differences(sources))


def test_a_triplet_that_lacks_a_frame_is_an_error_with_its_name(dataset: Path) -> None:
    (dataset / "test_2k_540p" / "Disney_pooh_2" / "frame2.png").unlink()
    with pytest.raises(InputError, match=r"1 of 4 triplets .* Disney_pooh_2 \(frame2\)"):
        find(dataset)


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        {},
        {"image_size": [1920, 1080], "level": 1},
        {"image_size": [1920, 1080], "level": 3, "motion_RoI": {"x": 0, "y": 0, "width": 9, "height": 9}},
        {"image_size": [0, 1080], "level": 1, "motion_RoI": {"x": 0, "y": 0, "width": 9, "height": 9}},
        {"image_size": [1920, 1080], "level": 1, "motion_RoI": {"x": 0, "y": 0, "width": -9, "height": 9}},
        {"image_size": [1920, 1080], "level": "hard", "motion_RoI": {"x": 0, "y": 0, "width": 9, "height": 9}},
    ],
)
def test_a_damaged_annotation_is_an_error_with_its_name(content: Any, dataset: Path) -> None:
    path = annotate(dataset, "Japan_film_3", content)
    with pytest.raises(InputError) as caught:
        find(dataset)
    assert str(path) in caught.value.message


def test_every_subset_has_the_mean_of_its_triplets(dataset: Path, evaluate: Callable[..., Evaluation]) -> None:
    evaluation = evaluate(dataset)
    of_clip = {
        row.clip: row.value
        for row in evaluation.clips
        if (row.quantity, row.config, row.variant, row.control) == ("psnr", "crossfade", "middle", False)
    }
    assert of_clip.keys() == LEVELS.keys()
    wanted = {
        "": list(LEVELS),
        "east": ["Japan_film_3", "Japan_other_4"],
        "west": ["Disney_aladdin_1", "Disney_pooh_2"],
        "easy": ["Disney_aladdin_1"],
        "medium": ["Japan_film_3", "Japan_other_4"],
        "hard": ["Disney_pooh_2"],
    }
    for subset, names in wanted.items():
        found = figure(evaluation, "psnr", "crossfade", subset)
        assert found.n == len(names)
        assert found.mean == pytest.approx(np.mean([of_clip[name] for name in names]))
        assert found.headline and found.gap == 2
    assert evaluation.facts["subsets"] == {"east": 2, "west": 2, "easy": 1, "medium": 2, "hard": 1}
    assert {one.stratum for one in evaluation.summary.figures} == set(wanted)


def test_numbers_are_those_of_the_published_evaluators(dataset: Path, evaluate: Callable[..., Evaluation]) -> None:
    """A dissolve of two frames against the third, worked out here by the formulas of the papers."""
    evaluation = evaluate(dataset, interpolators=("crossfade",))
    first, truth, last = (picture.astype(float) for picture in frames(0))
    drawn = np.rint((first + last) / 2)
    whole = (slice(None), slice(None))
    region = (slice(10, 49), slice(20, 70))
    for place, variant in ((whole, "middle"), (region, "region")):
        a, b = drawn[place] / 255, truth[place] / 255
        rows = {
            row.quantity: row.value
            for row in evaluation.clips
            if (row.config, row.clip, row.variant, row.control) == ("crossfade", "Disney_aladdin_1", variant, False)
        }
        assert rows["psnr"] == pytest.approx(10 * math.log10(1 / np.mean((a - b) ** 2)), abs=0.02)
        assert rows["ssim-atd12k"] == pytest.approx(ssim(a, b), abs=2e-4)
        if variant == "middle":
            error = np.sqrt(((drawn - truth) ** 2).sum(axis=2)).mean()
            assert rows["interpolation-error"] == pytest.approx(error, abs=0.05)
        else:
            assert set(rows) == {"psnr", "ssim-atd12k"}


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Uniform windows of 7 × 7 inside the picture, variances over N - 1, a range of 2 for values in 0 to 1."""
    windows = [np.lib.stride_tricks.sliding_window_view(one, (7, 7), axis=(0, 1)).reshape(-1, 49) for one in (a, b)]
    x, y = windows
    mx, my = x.mean(axis=1), y.mean(axis=1)
    covariance = ((x - mx[:, None]) * (y - my[:, None])).sum(axis=1) / 48
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    variances = x.var(axis=1, ddof=1) + y.var(axis=1, ddof=1)
    return float((((2 * mx * my + c1) * (2 * covariance + c2)) / ((mx**2 + my**2 + c1) * (variances + c2))).mean())


def test_held_drawings_count_and_frames_of_regions_are_in_no_table(
    dataset: Path, evaluate: Callable[..., Evaluation]
) -> None:
    triplet(dataset / "test_2k_540p" / "Japan_held_6", [frames(0)[0]] * 3)
    evaluation = evaluate(dataset, interpolators=("crossfade",))
    found = figure(evaluation, "psnr", "crossfade")
    assert (found.n, found.infinite) == (5, 1)
    assert figure(evaluation, "psnr", "crossfade", variant="region").n == 4
    keys = [(row.config, row.control, row.clip, row.quantity, row.index) for row in evaluation.frames]
    assert len(keys) == len(set(keys))


def test_published_scores_stand_apart_with_their_source_and_rank_nothing(
    dataset: Path, evaluate: Callable[..., Evaluation], tmp_path: Path
) -> None:
    evaluation = evaluate(dataset)
    systems = {one.config for one in evaluation.summary.figures}
    assert not systems & {score.system for score in published.ATD12K}
    ranks = {figure(evaluation, "psnr", name).rank for name in ("flow", "crossfade")}
    assert ranks <= {None, 1, 2}
    written = json.loads((tmp_path / "out" / "summary.json").read_text())["published"]
    assert len(written["scores"]) == len(published.ATD12K)
    assert all(score["source"] and score["printed"] and not score["comparable"] for score in written["scores"])
    assert any("4 triplets, not the 2000" in text for text in written["differs"])
    assert any(quirk.startswith("ssim-atd12k") for quirk in written["quirks"])


def test_a_report_has_subsets_and_apart_from_them_what_was_published(
    dataset: Path, evaluate: Callable[..., Evaluation], tmp_path: Path
) -> None:
    evaluation = evaluate(dataset)
    material = read_evaluation(tmp_path / "out")
    whole, region = datasets.subset_tables(material)
    lines = [(row[0].text, row[1].text, row[2].text) for row in whole.rows]
    counts = {"all": 4, "east": 2, "west": 2, "easy": 1, "medium": 2, "hard": 1}
    assert lines == [(name, config, str(n)) for name, n in counts.items() for config in ("flow", "crossfade")]
    psnr = [column.name for column in whole.columns].index("psnr")
    assert whole.rows[3][psnr].sort == figure(evaluation, "psnr", "crossfade", "east").mean
    assert [column.name for column in region.columns] == ["subset", "system", "N", "psnr", "ssim-atd12k"]
    table = datasets.published_table(material)
    assert table is not None and {row[0].text for row in table.rows} == {"EISAI", "GMFSS"}
    assert all("not comparable" in row[4].text for row in table.rows)
    assert any("4 triplets" in text for text in datasets.published_notes(material))


def test_only_the_whole_test_part_at_its_size_may_stand_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frames:
        size = (960, 540)

    def sources(count: int, config: str = "test_2k_540p") -> list[Source]:
        return [Source(f"Japan_{number}", config, "", Frames()) for number in range(count)]  # type: ignore[arg-type]

    told = published.facts(sources(2000))
    assert not told["differs"]
    assert {score["system"] for score in told["scores"] if score["comparable"]} == {"EISAI"}
    assert published.differences(sources(1999)) and published.differences(sources(2000, "train_10k"))
    Frames.size = (480, 270)
    assert published.differences(sources(2000)) == ["not all are of 960 × 540"]


def test_published_numbers_are_as_printed() -> None:
    for score in published.ATD12K:
        printed = float(score.printed.split()[0]) / (100 if "× 100" in score.printed else 1)
        assert score.value == pytest.approx(printed, rel=1e-9)
    quantities = set(find_profile("atd12k").quantities)
    assert all(score.quantity in quantities for score in published.ATD12K if not score.differs)
