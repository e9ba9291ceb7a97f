"""The stage: frames of any size at any times, drawings looked at once, nothing without parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import animegen
import animegen_animeinterp.plugin
from animegen._cv2 import cv2
from animegen.errors import InputError, MissingError, ResourceError, StageError, UsageError
from animegen.media import PanelPair
from animegen_animeinterp.matching.matcher import Matcher
from animegen_animeinterp.matching.sizes import working_size
from animegen_animeinterp.network import AnimeInterp
from animegen_animeinterp.plan import plan
from animegen_animeinterp.plugin import AnimeInterpOptions, animegen_interpolators
from animegen_animeinterp.stage import AnimeInterpolator

Picture = np.ndarray[Any, np.dtype[np.uint8]]
Make = Callable[..., AnimeInterpolator]
SPEC = animegen_interpolators()[0]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawings of a few thousand pixels are segmented as they are: the authors' half a million take seconds."""
    monkeypatch.setattr("animegen_animeinterp.matching.sizes.PUBLISHED_SIZE", (96, 64))
    monkeypatch.setattr("animegen_animeinterp.stage.LEAST_SIDE", 64)


def drawing(shift: int = 0, height: int = 64, width: int = 96) -> Picture:
    """A red and a blue disc with outlines on paper; the red one moves."""
    picture = np.full((height, width, 3), 235, np.uint8)
    for centre, radius, colour in (((22 + shift, 30), 13, (210, 60, 60)), ((70, 34), 18, (60, 70, 200))):
        cv2.circle(picture, centre, radius, colour, -1)
        cv2.circle(picture, centre, radius, (15, 15, 15), 2)
    return picture


FIRST, LAST, THIRD = drawing(), drawing(7), drawing(12)
TIMES = (0.1, 0.5, 2 / 3)
QUICK = {"iterations": 1}


def test_a_frame_does_not_depend_on_the_times_beside_it(made: Make) -> None:
    stage = made(**QUICK)
    frames = stage(FIRST, LAST, TIMES)
    assert frames.shape == (3, 64, 96, 3) and frames.dtype == np.uint8
    assert len({frame.tobytes() for frame in frames}) == 3
    assert np.array_equal(stage(FIRST, LAST, TIMES[1:]), frames[1:])
    assert np.array_equal(made(**QUICK)(FIRST, LAST, TIMES[2:]), frames[2:])


def test_the_ends_are_the_drawings_and_no_times_are_no_frames(made: Make) -> None:
    stage = made()
    frames = stage(FIRST, LAST, (0.0, 1.0))
    assert np.array_equal(frames, np.stack((FIRST, LAST)))
    assert stage(FIRST, LAST, ()).shape == (0, 64, 96, 3)


def test_a_drawing_is_looked_at_once_and_a_pair_matched_once(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def spy(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def told(self: Any, *given: Any, **named: Any) -> Any:
            seen.append(name)
            return real(self, *given, **named)

        monkeypatch.setattr(kind, name, told)

    for kind, name in ((AnimeInterp, "encode"), (AnimeInterp, "flows"), (Matcher, "drawing"), (Matcher, "guides")):
        spy(kind, name)
    stage = made(**QUICK)
    stage(FIRST, LAST, TIMES)
    stage(FIRST.copy(), LAST.copy(), TIMES)
    assert sorted(seen) == ["drawing", "drawing", "encode", "encode", "flows", "guides"]
    third = stage(LAST, THIRD, (0.5,))
    assert sorted(seen[6:]) == ["drawing", "encode", "flows", "guides"]
    assert np.array_equal(third, made(**QUICK)(LAST, THIRD, (0.5,)))


def test_what_is_handed_in_may_be_written_over(made: Make) -> None:
    stage = made(**QUICK)
    buffer = FIRST.copy()
    before = stage(buffer, LAST, (0.5,))
    buffer[:] = THIRD
    assert not np.array_equal(stage(buffer, LAST, (0.5,)), before)


@pytest.mark.parametrize("size", [(1, 1), (5, 90), (63, 65)])
def test_any_size_is_taken(size: tuple[int, int], made: Make) -> None:
    height, width = size
    frames = made(**QUICK)(FIRST[:height, :width], LAST[:height, :width], (0.5,))
    assert frames.shape == (1, *size, 3)


def test_matching_and_style_change_the_frame(made: Make) -> None:
    ways: list[dict[str, Any]] = [{}, {"matching": False}]
    frames = [made(**QUICK, **way)(FIRST, LAST, (0.5,)).tobytes() for way in ways]
    assert frames[0] != frames[1]


def test_a_moved_region_is_guided_by_its_motion(made: Make) -> None:
    stage = made(**QUICK)
    stage._load()
    matcher = stage._matcher
    assert matcher is not None
    one, other = matcher.drawing(FIRST), matcher.drawing(LAST)
    there, back = matcher.guides(one, other)
    assert np.abs(np.median(there[:, 25:35, 17:27], (1, 2)) - (7, 0)).max() < 0.5
    assert np.abs(np.median(back[:, 25:35, 24:34], (1, 2)) - (-7, 0)).max() < 0.5
    assert not there[:, 2, 2].any()  # paper is too large to be guided
    assert np.abs(there[:, 30:38, 66:74]).max() < 0.5


def test_as_published_it_is_drawn_at_one_size(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animegen_animeinterp.stage.PUBLISHED_SIZE", (96, 64))
    stage = made(size="published", **QUICK)
    frames = stage(FIRST, LAST, (0.5,))
    assert np.array_equal(frames, made(**QUICK)(FIRST, LAST, (0.5,)))  # the very size: nothing is resized
    assert stage(drawing(0, 80, 100), drawing(7, 80, 100), (0.5,)).shape == (1, 80, 100, 3)


def test_pictures_are_segmented_at_as_many_pixels_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animegen_animeinterp.matching.sizes.PUBLISHED_SIZE", (960, 540))
    assert working_size((540, 960)) == working_size((1080, 1920)) == working_size((270, 480)) == (540, 960)
    assert working_size((960, 540)) == (960, 540)
    assert working_size((960, 540), published=True) == (540, 960)
    assert working_size((1000, 1000)) == (720, 720)
    assert working_size((1, 100_000))[0] == 16


@pytest.mark.slow  # on a processor that has no units for it
def test_half_precision_is_near_and_only_on_demand(made: Make) -> None:
    exact = made(**QUICK)(FIRST, LAST, (0.5,)).astype(int)
    assert np.array_equal(made(dtype="auto", **QUICK)(FIRST, LAST, (0.5,)), exact)
    half = made(dtype="bfloat16", **QUICK)(FIRST, LAST, (0.5,)).astype(int)
    assert np.abs(half - exact).mean() < 12  # drawn parameters spread the picture far beyond [0, 1]


def test_bad_input_is_told(made: Make) -> None:
    stage = made()
    with pytest.raises(StageError):
        stage(FIRST.astype(np.float32), LAST.astype(np.float32), (0.5,))
    with pytest.raises(StageError):
        stage(FIRST, LAST[:-1], (0.5,))
    with pytest.raises(UsageError):
        stage(FIRST, LAST, (1.5,))


def test_out_of_memory_is_told(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **named: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    stage = made(**QUICK)
    with monkeypatch.context() as patch, pytest.raises(ResourceError) as caught:
        patch.setattr(AnimeInterp, "draw", full)
        stage(FIRST, LAST, (0.5,))
    assert "animeinterp" in caught.value.message
    assert stage(FIRST, LAST, (0.5,)).shape == (1, 64, 96, 3)


def test_closing_lets_go_and_the_next_call_reads_again(made: Make) -> None:
    stage = made(**QUICK)
    before = stage(FIRST, LAST, (0.5,))
    stage.close()
    stage.close()
    assert stage._network is None and not len(stage._known) and not len(stage._pairs)
    assert np.array_equal(stage(FIRST, LAST, (0.5,)), before)


def test_a_file_of_the_users_own(checkpoint: Path, backbone: Path, stage_context: Callable[..., Any]) -> None:
    options = AnimeInterpOptions(file=str(checkpoint), matching=False, iterations=1)
    assert SPEC.weights_for(options) == ()
    stage = AnimeInterpolator(options, stage_context({}))
    assert stage(FIRST, LAST, (0.5,)).shape == (1, 64, 96, 3)
    with pytest.raises(InputError):
        AnimeInterpolator(AnimeInterpOptions(file="nowhere.ckpt"), stage_context({}))


def test_which_files_are_needed() -> None:
    assert [weight.file for weight in SPEC.weights_for(AnimeInterpOptions())] == [
        "anime_interp_full.ckpt",
        "vgg19-dcbb9e9d.pth",
    ]
    assert [weight.file for weight in SPEC.weights_for(AnimeInterpOptions(matching=False))] == [
        "anime_interp_full.ckpt"
    ]


def test_the_plan_says_sizes_and_memory(monkeypatch: pytest.MonkeyPatch, stage_context: Callable[..., Any]) -> None:
    monkeypatch.setattr("animegen_animeinterp.matching.sizes.PUBLISHED_SIZE", (960, 540))
    context = stage_context({}, untrained=True)
    own = plan(AnimeInterpOptions(), context, size=(1080, 1920), frames=3)
    assert own.summary == "drawn at 1920x1080, regions matched at 960x540"
    fixed = plan(AnimeInterpOptions(size="published"), context, size=(1080, 1920), frames=3)
    assert fixed.summary == "drawn at 960x540, regions matched at 960x540"
    plain = plan(AnimeInterpOptions(matching=False), context, size=(540, 960), frames=3)
    assert plain.summary == "drawn at 960x540"
    assert own.demands[0].need > 3 * fixed.demands[0].need >= 3 * plain.demands[0].need > 2**30
    small = [plan(AnimeInterpOptions(matching=yes), context, size=(128, 128), frames=3) for yes in (True, False)]
    assert small[0].demands[0].need > 4 * small[1].demands[0].need  # regions are sought at their own size


def test_without_its_files_a_run_stops_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_pair: PanelPair
) -> None:
    for name in ("ANIMEGEN_HOME", "ANIMEGEN_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(MissingError) as caught:
        animegen.run(tiny_pair.first.image, tiny_pair.last.image, interpolator="animeinterp", out=tmp_path / "out")
    assert "anime_interp_full.ckpt" in caught.value.message
    assert "animegen weights fetch animeinterp" in caught.value.hints


@pytest.mark.gpu
def test_a_gpu_gives_what_the_processor_gives(weights: dict[str, Path], stage_context: Callable[..., Any]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    options = AnimeInterpOptions(iterations=1)
    frames = [
        AnimeInterpolator(options, stage_context(weights, devices=(device,)))(FIRST, LAST, TIMES).astype(int)
        for device in ("cpu", "cuda")
    ]
    assert np.abs(frames[0] - frames[1]).max() <= 1


def test_contract(stage_contract: Callable[..., Any], weights: dict[str, Path]) -> None:
    findings = stage_contract(
        animegen_animeinterp.plugin,
        weights=weights,
        options={"animeinterp": {"iterations": 1}},
        untrained={"animeinterp": (48, 64)},
    )
    assert {finding.level for finding in findings} == {"ok"}
    assert {"absent weights", "one time", "smallest size"} <= {finding.check for finding in findings}
