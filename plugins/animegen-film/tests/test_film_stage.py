"""The stage: frames of any size at any times, nothing that depends on what was asked before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
import torch

from animegen.errors import InputError, MissingError, ResourceError, StageError, UsageError
from animegen_film import stage as stage_module
from animegen_film.network import Film
from animegen_film.plan import FEWEST
from animegen_film.plugin import FilmOptions
from animegen_film.stage import FilmStage

Picture = NDArray[np.uint8]
Made = Callable[..., FilmStage]
GOLDEN = Path(__file__).parent / "golden"


def drawing(height: int = 48, width: int = 64, *, shift: int = 0, seed: int = 0) -> Picture:
    """A dark disc on a ramp with grain, (height, width, 3) uint8 RGB."""
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(seed).integers(0, 9, (height, width, 1))
    ramp = np.stack((x * 90 / width + 90, y * 90 / height + 90, (x + y) * 0.5 + 60), 2) + grain
    disc = np.hypot(y - height / 2, x - width / 3 - shift) < min(height, width) / 4
    return np.where(disc[..., None], 30, ramp.clip(0, 255)).astype(np.uint8)


FIRST, LAST, THIRD = drawing(), drawing(shift=6, seed=1), drawing(shift=12, seed=2)
TIMES = (0.1, 0.25, 1 / 3, 0.5, 0.875)
HALVES = (0.125, 0.25, 0.5, 0.875)


def same(one: Picture, other: Picture) -> bool:
    return np.array_equal(one, other)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the network was asked for what."""
    counts = {"encode": 0, "motion": 0, "between": 0}
    for name in counts:
        inner = getattr(Film, name)

        def call(*args: Any, _inner: Any = inner, _name: str = name) -> Any:
            counts[_name] += 1
            return _inner(*args)

        monkeypatch.setattr(Film, name, call)
    return counts


def test_frames_are_those_of_the_original_rounded_to_levels(made: Made) -> None:
    arrays, halves = np.load(GOLDEN / "reduced_64x64.npz"), np.load(GOLDEN / "reduced_64x64_recursive4.npz")
    frames = made()(arrays["img0"], arrays["img1"], (0.25, 0.5, 0.75))
    for frame, name in zip(frames, ("f1", "f2", "f3"), strict=True):
        exact = halves[name].transpose(0, 2, 3, 1)[0].clip(0, 1) * 255.0
        assert np.abs(frame - exact).max() < 0.502  # rounded, not cut off
    (at_once,) = made(times="direct")(arrays["img0"], arrays["img1"], (0.5,))
    assert same(at_once, frames[1])


@pytest.mark.slow
def test_padding_is_that_of_the_original(published: Path, stage_context: Callable[..., Any]) -> None:
    """The whole network, of which the file holds half precision; a level off at most for that."""
    arrays = np.load(GOLDEN / "full_45x70_pad64.npz")
    stage = FilmStage(FilmOptions(file=str(published)), stage_context(dtype="float32"))
    exact = arrays["image"].transpose(0, 2, 3, 1)[0].clip(0, 1) * 255.0
    assert np.abs(stage(arrays["img0"], arrays["img1"], [0.5])[0] - exact).max() < 1.5


@pytest.mark.parametrize(("times", "asked"), [("recursion", TIMES), ("original", HALVES), ("direct", TIMES)])
def test_a_frame_does_not_depend_on_the_times_beside_it(times: str, asked: tuple[float, ...], made: Made) -> None:
    stage = made(times=times)
    frames = stage(FIRST, LAST, asked)
    assert len({frame.tobytes() for frame in frames}) == len(asked)
    for index, time in enumerate(asked):
        assert same(stage(FIRST, LAST, [time])[0], frames[index])
        assert same(made(times=times)(FIRST, LAST, [time])[0], frames[index])
    assert same(stage(FIRST, LAST, asked[2:]), frames[2:])


def test_the_original_refuses_what_it_cannot_draw(made: Made) -> None:
    stage = made(times="original")
    assert stage(FIRST, LAST, [0.5, 0.75]).shape[0] == 2
    with pytest.raises(UsageError, match=r"time 0\.3"):
        stage(FIRST, LAST, [0.3])


def test_the_original_s_way_and_the_port_s_differ_by_what_is_fed_on(made: Made) -> None:
    """The first half is the same; from there on the port cuts values, and pads once."""
    port, original = (made(times=times)(FIRST, LAST, [0.25, 0.5]).astype(int) for times in ("recursion", "original"))
    assert same(port[1], original[1])
    assert np.abs(port[0] - original[0]).max() > 0


def test_every_frame_is_encoded_once_and_every_half_drawn_once(made: Made, counted: dict[str, int]) -> None:
    stage = made()
    stage(FIRST, LAST, [0.25])
    assert counted == {"encode": 3, "motion": 2, "between": 2}
    stage(FIRST, LAST, [0.5])
    stage(FIRST.copy(), LAST.copy(), [0.25, 0.5])
    assert counted == {"encode": 3, "motion": 2, "between": 2}
    stage(FIRST, LAST, [0.75])
    assert counted == {"encode": 3, "motion": 3, "between": 3}
    stage(LAST.copy(), THIRD, [0.5])
    assert counted == {"encode": 4, "motion": 4, "between": 4}


def test_eight_parts_of_a_chain_of_pairs(made: Made, counted: dict[str, int]) -> None:
    """Seven frames a pair, all from halves: eight encodings a pair, as the published recursion makes fourteen."""
    stage, times = made(), [number / 8 for number in range(1, 8)]
    stage(FIRST, LAST, times)
    assert counted == {"encode": 5, "motion": 7, "between": 7}
    stage(LAST, THIRD, times)
    assert counted == {"encode": 9, "motion": 14, "between": 14}


def test_at_once_motion_is_found_once_for_a_pair(made: Made, counted: dict[str, int]) -> None:
    stage = made(times="direct")
    stage(FIRST, LAST, TIMES[:3])
    stage(FIRST, LAST, TIMES[3:])
    assert counted == {"encode": 2, "motion": 1, "between": 5}


def test_colours_and_alpha_in_turns_do_not_drive_each_other_out(made: Made, counted: dict[str, int]) -> None:
    stage = made()
    for _ in range(2):
        for pair in ((FIRST, LAST), (THIRD, FIRST)):
            stage(*pair, [0.25])
    assert counted["between"] == 4


def test_what_is_kept_has_a_limit_and_loses_nothing(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [number / 32 for number in range(1, 32)]
    wanted = made()(FIRST, LAST, times)
    monkeypatch.setattr(stage_module, "DRAWN", 0)
    monkeypatch.setattr("animegen_film.plan.ENCODED", 0)
    stage = made()
    assert same(stage(FIRST, LAST, times), wanted)
    drawn = stage._pairs.of((FIRST, LAST), lambda: pytest.fail("the pair was forgotten")).drawn
    assert len(stage._encoded) == 2 and len(drawn) <= FEWEST + 2
    assert 0 in drawn and 1 in drawn


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (33, 1), (31, 65), (64, 64), (37, 53)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int], made: Made) -> None:
    first, last = drawing(*size), drawing(*size, shift=2, seed=1)
    frames = made()(first, last, [0.25, 0.75])
    assert frames.shape == (2, *size, 3) and frames.dtype == np.uint8 and frames.flags.c_contiguous


def test_times_at_the_ends_are_the_images_themselves(made: Made) -> None:
    stage = made()
    frames = stage(FIRST, LAST, [0.0, 0.5, 1.0])
    assert same(frames[0], FIRST) and same(frames[2], LAST)
    assert stage(FIRST, LAST, []).shape == (0, *FIRST.shape)


def test_tiles_that_hold_the_whole_picture_change_nothing(made: Made) -> None:
    assert same(made(tile=128, overlap=64)(FIRST, LAST, TIMES), made()(FIRST, LAST, TIMES))


def test_tiles_are_blended_without_a_seam(made: Made) -> None:
    """Of two equal pictures without a drawing every tile is the same away from the rim, so any seam would show."""
    flat = np.full((64, 448, 3), 120, np.uint8)
    whole, tiles = (
        made()(flat, flat, [0.5])[0].astype(int),
        made(tile=192, overlap=128)(flat, flat, [0.5])[0].astype(int),
    )
    assert tiles.shape == whole.shape
    inner = np.abs(np.diff(tiles[:, 64:-64], axis=1)).max()
    assert inner <= np.abs(np.diff(whole, axis=1)).max() + 2


def test_the_inputs_stay_as_they_are(made: Made) -> None:
    first, last = FIRST.copy(), LAST.copy()
    first.flags.writeable = last.flags.writeable = False
    made()(first, last, TIMES)
    assert same(first, FIRST) and same(last, LAST)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_close(dtype: str, made: Made) -> None:
    exact = made()(FIRST, LAST, [0.5]).astype(float)
    half = made(dtype=dtype)(FIRST, LAST, [0.5])
    assert 10 * np.log10(255**2 / ((half - exact) ** 2).mean()) > 35
    assert same(half, made(dtype=dtype)(FIRST, LAST, [0.25, 0.5])[1:])


def test_without_weights_it_is_not_made(stage_context: Callable[..., Any]) -> None:
    with pytest.raises(MissingError):
        FilmStage(FilmOptions(), stage_context())


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path, stage_context: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="is not a file"):
        FilmStage(FilmOptions(file=str(tmp_path / "nothing.pt")), stage_context())


def test_a_published_file_that_is_another_model_says_what_to_type(
    tmp_path: Path, stage_context: Callable[..., Any]
) -> None:
    path = tmp_path / "film_net_fp16.safetensors"
    torch.save({"block0.conv0.0.0.weight": torch.ones(1)}, path)
    with pytest.raises(InputError) as caught:
        FilmStage(FilmOptions(), stage_context({path.name: path}))(FIRST, LAST, [0.5])
    assert "RIFE" in caught.value.message


@pytest.mark.parametrize(
    ("first", "last", "times", "error"),
    [
        (FIRST, drawing(47, 64), [0.5], StageError),
        (FIRST[..., 0], LAST[..., 0], [0.5], StageError),
        (np.dstack((FIRST, FIRST[..., :1])), np.dstack((LAST, LAST[..., :1])), [0.5], StageError),
        (FIRST.astype(np.float32), LAST, [0.5], StageError),
        (FIRST[:0], LAST[:0], [0.5], StageError),
        (FIRST, LAST, [1.5], UsageError),
        (FIRST, LAST, [float("nan")], UsageError),
    ],
)
def test_what_is_no_pair_of_pictures_is_refused(
    first: Any, last: Any, times: list[float], error: type[Exception], made: Made
) -> None:
    with pytest.raises(error):
        made()(first, last, times)


def test_too_little_memory_says_what_needs_less(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    stage = made()
    monkeypatch.setattr(Film, "motion", full)
    with pytest.raises(ResourceError) as caught:
        stage(FIRST, LAST, [0.5])
    assert "film, on a picture of 64 × 48" in caught.value.message
    assert any("film.tile=512" in hint for hint in caught.value.hints)
    assert not stage._encoded and not stage._pairs


def test_an_error_that_is_not_about_memory_goes_through(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Film, "motion", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        made()(FIRST, LAST, [0.5])


def test_close_lets_go_and_the_next_call_reads_again(made: Made) -> None:
    stage = made()
    frames = stage(FIRST, LAST, TIMES)
    stage.close()
    stage.close()
    assert stage._network is None and not stage._pairs and not stage._encoded
    assert same(stage(FIRST, LAST, TIMES), frames)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_on_a_gpu_a_frame_is_that_of_the_processor(
    dtype: str, published: Path, stage_context: Callable[..., Any]
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    first, last = drawing(128, 192), drawing(128, 192, shift=20, seed=1)
    options = FilmOptions(file=str(published))
    stage = FilmStage(options, stage_context(devices=("cuda",), dtype=dtype))
    frames = stage(first, last, HALVES)
    for index, time in enumerate(HALVES):
        assert same(stage(first, last, [time])[0], frames[index])
    exact = FilmStage(options, stage_context(devices=("cpu",), dtype="float32"))(first, last, HALVES).astype(float)
    assert 10 * np.log10(255**2 / ((frames - exact) ** 2).mean()) > 40
