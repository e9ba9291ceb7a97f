"""ATD-12K as it is published: its layout, subsets, regions and sizes, and what is said of what is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from animegen.errors import InputError
from animegen.imageio import write_image
from animegen.media import Box
from animegen_eval import published
from animegen_eval.samples import atd12k
from animegen_eval.samples.pictures import Memory
from animegen_eval.samples.sources import Source


def find(*paths: Path) -> tuple[list[Source], list[str]]:
    notes: list[str] = []
    return atd12k.find_triplets(paths, Memory(1 << 26), note=notes.append), notes


def test_triplets_are_the_sorted_folders_with_their_subsets(dataset: Path, atd: Any) -> None:
    for place in (dataset, dataset / "test_2k_540p"):
        sources, notes = find(place)
        assert [source.name for source in sources] == sorted(atd.levels)
        assert [source.subsets for source in sources] == [
            ("west", "easy"), ("west", "hard"), ("east", "medium"), ("east", "medium"),
        ]  # fmt: skip
        assert not notes
        assert all(np.array_equal(a, b) for a, b in zip(sources[2].pictures, atd.frames(2), strict=True))
    counts = {name: len(keys) for name, keys in atd12k.members(sources).items()}
    assert counts == {"east": 2, "west": 2, "easy": 1, "medium": 2, "hard": 1}


def test_regions_are_divided_and_rounded_down_as_the_original_does(dataset: Path, tmp_path: Path, atd: Any) -> None:
    (source, *_), _ = find(dataset)
    assert source.region == Box(20, 10, 20 + 50, 10 + 39)  # each number by 20, side by side, never the far corner
    other = atd.annotate(tmp_path, "Japan_x", {"image_size": [96, 54], "level": 0, "motion_RoI": dict.fromkeys(
        ("x", "y", "width", "height"), 90)})  # fmt: skip
    assert atd12k.read_annotation(other) == {"level": "easy", "region": None}  # beyond the picture nothing is left


def test_the_published_size_is_that_of_pillow_s_lanczos(tmp_path: Path, atd: Any) -> None:
    pictures = atd.frames(0, (320, 200))
    atd.triplet(tmp_path / "test_2k_original" / "Japan_a", pictures)
    (source,), notes = find(tmp_path)
    assert source.pictures.size == (960, 540)
    for made, picture in zip(source.pictures, pictures, strict=True):
        wanted = PIL.Image.fromarray(picture).resize((960, 540), PIL.Image.Resampling.LANCZOS)
        assert np.array_equal(made, np.asarray(wanted))
    (last,) = source.pictures.at([2])
    assert np.array_equal(last, list(source.pictures)[2])
    assert any("1 of 1 triplets are brought to 960 × 540 (Lanczos)" in note for note in notes)
    assert any("no test_2k_annotations" in note for note in notes)


def test_frames_may_be_jpeg_and_other_files_do_not_count(dataset: Path, atd: Any) -> None:
    folder = dataset / "test_2k_540p" / "Japan_jpeg_5"
    atd.triplet(folder, atd.frames(1), ".jpg")
    (folder / "Thumbs.db").write_bytes(b"x")
    write_image(folder / "frame4.jpg", atd.frames(0)[0])
    write_image(folder / "frame2.png", atd.frames(1)[1])
    sources, notes = find(dataset)
    source = next(source for source in sources if source.name == "Japan_jpeg_5")
    assert len(source.pictures) == 3
    assert np.array_equal(next(source.pictures.at([1])), atd.frames(1)[1])  # of two, the one without loss
    assert source.subsets == ("east",)
    assert any("1 of 5 triplets are not annotated (Japan_jpeg_5)" in note for note in notes)


def test_of_several_test_folders_the_published_one_is_scored(dataset: Path, atd: Any) -> None:
    atd.triplet(dataset / "test_2k_original" / "Japan_a", atd.frames(0))
    (dataset / "test_2k_pre_calc_sgm_flows").mkdir()
    sources, notes = find(dataset)
    assert len(sources) == 4 and any("test_2k_540p is scored" in note for note in notes)
    (dataset / "test_2k_540p").rename(dataset / "test_2k_other")
    with pytest.raises(InputError, match="test_2k_original, test_2k_other"):
        find(dataset)


def test_the_training_part_is_named_and_told(tmp_path: Path, atd: Any) -> None:
    atd.triplet(tmp_path / "train_10k" / "Japan_a", atd.frames(0), ".jpg")
    with pytest.raises(InputError, match="training part") as caught:
        find(tmp_path)
    assert str(tmp_path / "train_10k") in " ".join(caught.value.hints)
    sources, notes = find(tmp_path / "train_10k")
    assert any("training part" in note for note in notes)
    assert "they are of the training part" in published.differences(sources)


def test_folders_with_other_names_are_taken_as_they_are(tmp_path: Path, atd: Any) -> None:
    for name in ("one", "Japan_two"):
        atd.triplet(tmp_path / "mine" / name, atd.frames(0))
    sources, _ = find(tmp_path / "mine")
    assert [source.name for source in sources] == ["Japan_two", "one"]
    assert all(source.pictures.size == atd.small and not source.subsets for source in sources)
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
def test_a_damaged_annotation_is_an_error_with_its_name(content: Any, dataset: Path, atd: Any) -> None:
    path = atd.annotate(dataset, "Japan_film_3", content)
    with pytest.raises(InputError) as caught:
        find(dataset)
    assert str(path) in caught.value.message
