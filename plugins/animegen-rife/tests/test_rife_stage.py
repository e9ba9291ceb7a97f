"""The stage: frames of any size at any times, nothing that depends on what was asked before."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
import torch

from animegen.errors import InputError, MissingError, StageError, UsageError
from animegen_rife.layers import Frame
from animegen_rife.plugin import RifeOptions
from animegen_rife.stage import Rife

Picture = NDArray[np.uint8]
Checkpoint = Callable[..., Path]

LITE = "4.15.lite"
GOLDEN = Path(__file__).parent / "golden"
GOLDEN_OPTIONS = [
    ("v4.6_45x70", "out_t0.3_pad128"),
    ("v4.25_45x70", "out_t0.5_pad128"),
    ("v4.6_128x128_scale_ensemble", "out_t0.5_scale0.5"),
    ("v4.6_128x128_scale_ensemble", "out_t0.4_ensemble"),
    ("v4.25_128x128_scale", "out_t0.5_scale2"),
    ("v4.17_64x96", "out_t0.35_ensemble"),
]


def drawing(height: int = 48, width: int = 64, *, shift: int = 0, seed: int = 0) -> Picture:
    """A dark disc on a ramp with grain, (height, width, 3) uint8 RGB."""
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(seed).integers(0, 9, (height, width, 1))
    ramp = np.stack((x * 90 / width + 90, y * 90 / height + 90, (x + y) * 0.5 + 60), 2) + grain
    disc = np.hypot(y - height / 2, x - width / 3 - shift) < min(height, width) / 4
    return np.where(disc[..., None], 30, ramp.clip(0, 255)).astype(np.uint8)


FIRST, LAST, THIRD = drawing(), drawing(shift=6, seed=1), drawing(shift=12, seed=2)
TIMES = (0.1, 0.25, 1 / 3, 0.5, 0.9)


def same(one: Picture, other: Picture) -> bool:
    return np.array_equal(one, other)


@pytest.mark.parametrize("case", ["v4.6_45x70", "v4.25_45x70", "v4.12_64x96", "v4.4_64x96"])
def test_frames_are_those_of_the_original_rounded_to_levels(case: str, made: Callable[..., Rife]) -> None:
    arrays = np.load(GOLDEN / f"{case}.npz")
    times = sorted(float(key.removeprefix("out_t")) for key in arrays if re.fullmatch(r"out_t[\d.]+", key))
    frames = made(case.split("_")[0].removeprefix("v"))(arrays["img0"], arrays["img1"], times)
    for frame, time in zip(frames, times, strict=True):
        exact = arrays[f"out_t{time:g}"].transpose(0, 2, 3, 1)[0].clip(0, 1) * 255.0
        assert frame.shape == exact.shape
        assert np.abs(frame - exact).max() < 0.501  # rounded, not cut off


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("version", ["4.0", "4.6", "4.25"])
def test_a_frame_does_not_depend_on_the_times_beside_it(
    version: str, batch: int | None, made: Callable[..., Rife]
) -> None:
    stage = made(version, batch=batch)
    frames = stage(FIRST, LAST, TIMES)
    assert len({frame.tobytes() for frame in frames}) == len(TIMES)
    for index, time in enumerate(TIMES):
        assert same(stage(FIRST, LAST, [time])[0], frames[index])
    assert same(stage(FIRST, LAST, TIMES[3:]), frames[3:])
    assert same(made(version, batch=batch)(FIRST, LAST, TIMES[1:]), frames[1:])


@pytest.mark.parametrize("version", ["4.0", "4.6", "4.25"])
def test_the_size_of_the_batch_changes_no_more_than_rounding(version: str, made: Callable[..., Rife]) -> None:
    one, five = (made(version, batch=batch)(FIRST, LAST, TIMES).astype(int) for batch in (1, 5))
    assert np.abs(one - five).max() <= 1
    assert (one != five).mean() < 0.001


def test_a_shared_frame_is_encoded_once_also_as_another_array(
    made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = made()
    stage(FIRST, LAST, [0.5])
    seen: list[int] = []
    network = stage._network
    assert network is not None
    encode = network.encode.forward

    def counted(image: torch.Tensor) -> Frame:
        seen.append(1)
        return encode(image)

    monkeypatch.setattr(network.encode, "forward", counted)
    stage(LAST.copy(), THIRD, [0.5])
    assert len(seen) == 1
    stage(LAST, THIRD, TIMES)
    assert len(seen) == 1
    stage(FIRST, THIRD, TIMES)
    assert len(seen) == 2


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (33, 1), (31, 65), (64, 64), (37, 53)])
@pytest.mark.parametrize("version", ["4.6", "4.25"])
def test_any_size_comes_back_as_it_was(size: tuple[int, int], version: str, made: Callable[..., Rife]) -> None:
    first, last = drawing(*size), drawing(*size, shift=2, seed=1)
    frames = made(version)(first, last, [0.25, 0.75])
    assert frames.shape == (2, *size, 3)
    assert frames.dtype == np.uint8
    assert frames.flags.c_contiguous


def test_two_equal_pictures_of_one_colour_give_that_colour(made: Callable[..., Rife]) -> None:
    for level in (0, 1, 127, 128, 254, 255):
        flat = np.full((64, 64, 3), level, np.uint8)
        assert (made("4.6")(flat, flat, [0.5]) == level).all()


def test_times_at_the_ends_are_the_images_themselves(made: Callable[..., Rife]) -> None:
    stage = made()
    frames = stage(FIRST, LAST, [0.0, 0.5, 1.0])
    assert same(frames[0], FIRST) and same(frames[2], LAST)
    assert same(frames[1], stage(FIRST, LAST, [0.5])[0])
    assert stage(FIRST, LAST, []).shape == (0, *FIRST.shape)


def test_the_inputs_stay_as_they_are(made: Callable[..., Rife]) -> None:
    first, last = FIRST.copy(), LAST.copy()
    first.flags.writeable = last.flags.writeable = False
    made()(first, last, TIMES)
    assert same(first, FIRST) and same(last, LAST)


def with_alpha(image: Picture, alpha: Picture | int) -> Picture:
    return np.dstack((image, np.broadcast_to(np.uint8(alpha), image.shape[:2])))


def test_opaque_pictures_stay_opaque_and_their_colours_as_they_are(made: Callable[..., Rife]) -> None:
    for size in ((48, 64), (37, 53), (1, 1)):
        first, last = drawing(*size), drawing(*size, shift=6, seed=1)
        frames = made("4.6")(with_alpha(first, 255), with_alpha(last, 255), TIMES)
        assert frames.shape == (len(TIMES), *size, 4)
        assert (frames[..., 3] == 255).all()
        assert same(frames[..., :3], made("4.6")(first, last, TIMES))


def test_alpha_goes_the_way_of_the_colours_and_changes_none(made: Callable[..., Rife]) -> None:
    # 64 × 64 is not padded: there alpha that equals a colour must come out as that colour does.
    first, last = drawing(64, 64), drawing(64, 64, shift=6, seed=1)
    frames = made("4.6")(with_alpha(first, first[..., 1]), with_alpha(last, last[..., 1]), TIMES)
    assert same(frames[..., 3], frames[..., 1])
    assert same(frames[..., :3], made("4.6")(first, last, TIMES))


def test_premultiplied_colours_stay_below_alpha(made: Callable[..., Rife]) -> None:
    first, last = (
        with_alpha(np.rint(image * (alpha[..., None] / 255)).astype(np.uint8), alpha)
        for image, alpha in ((FIRST, drawing(seed=5)[..., 0]), (LAST, drawing(shift=6, seed=5)[..., 0]))
    )
    frames = made("4.6")(first, last, TIMES)
    assert (frames[..., :3].max(axis=-1) <= frames[..., 3]).all()


@pytest.mark.parametrize(
    ("options", "version"), [({"scale": 0.5}, "4.6"), ({"scale": 2.0}, "4.25"), ({"multiple": 128}, "4.6")]
)
def test_options_reach_the_network(options: dict[str, Any], version: str, made: Callable[..., Rife]) -> None:
    assert not same(made(version, **options)(FIRST, LAST, [0.5]), made(version)(FIRST, LAST, [0.5]))


@pytest.mark.parametrize(("case", "key"), GOLDEN_OPTIONS)
def test_options_do_what_they_did_in_the_original(case: str, key: str, made: Callable[..., Rife]) -> None:
    arrays = np.load(GOLDEN / f"{case}.npz")
    found = re.fullmatch(r"out_t([\d.]+)(?:_scale([\d.]+))?(_ensemble)?(?:_pad(\d+))?", key)
    assert found is not None
    time, scale, ensemble, multiple = found.groups()
    stage = made(
        case.split("_")[0].removeprefix("v"),
        scale=float(scale or 1),
        ensemble=bool(ensemble),
        multiple=int(multiple) if multiple else None,
    )
    exact = arrays[key].transpose(0, 2, 3, 1)[0].clip(0, 1) * 255.0
    assert np.abs(stage(arrays["img0"], arrays["img1"], [float(time)])[0] - exact).max() < 0.501


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("version", ["4.6", "4.25"])
def test_half_precision_stays_close(version: str, dtype: str, made: Callable[..., Rife]) -> None:
    exact = made(version)(FIRST, LAST, [0.5]).astype(float)
    half = made(version, dtype=dtype)(FIRST, LAST, [0.5])
    psnr = 10 * np.log10(255**2 / ((half - exact) ** 2).mean())
    assert psnr > 45
    assert same(half, made(version, dtype=dtype)(FIRST, LAST, [0.25, 0.5])[1:])


def test_a_format_without_units_is_used_and_told(made: Callable[..., Rife]) -> None:
    told = made(dtype="float16").context.warnings  # type: ignore[attr-defined]
    assert all("float16" in text for text in told)
    assert not made().context.warnings  # type: ignore[attr-defined]


def test_untrained_it_needs_no_weights(stage_context: Callable[..., Any]) -> None:
    one, other = (Rife(RifeOptions(model=LITE), stage_context(untrained=True)) for _ in range(2))
    frames = one(FIRST, LAST, TIMES)
    assert frames.shape == (len(TIMES), *FIRST.shape)
    assert frames.std() > 0
    assert same(frames, other(FIRST, LAST, TIMES))


def test_without_weights_it_is_not_made(stage_context: Callable[..., Any]) -> None:
    with pytest.raises(MissingError):
        Rife(RifeOptions(), stage_context())


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path, stage_context: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="is not a file"):
        Rife(RifeOptions(file=str(tmp_path / "nothing.pkl")), stage_context())


def test_the_published_file_of_the_version_is_asked_for(
    checkpoint: Checkpoint, stage_context: Callable[..., Any]
) -> None:
    context = stage_context({"flownet_v4.16.lite.pkl": checkpoint(LITE)})
    frames = Rife(RifeOptions(model="4.16.lite"), context)(FIRST, LAST, [0.5])
    assert frames.shape == (1, *FIRST.shape)


def test_a_published_file_with_another_network_is_refused(
    checkpoint: Checkpoint, stage_context: Callable[..., Any]
) -> None:
    stage = Rife(RifeOptions(model="4.6"), stage_context({"flownet_v4.6.pkl": checkpoint(LITE)}))
    with pytest.raises(InputError) as caught:
        stage(FIRST, LAST, [0.5])
    assert "not of 4.6" in caught.value.message
    assert any("animegen weights fetch rife/" in hint for hint in caught.value.hints)


def test_ensemble_is_refused_where_the_file_turns_out_to_have_none(made: Callable[..., Rife]) -> None:
    with pytest.raises(UsageError, match=r"4\.25 has no ensemble"):
        made("4.25", ensemble=True)(FIRST, LAST, [0.5])


@pytest.mark.parametrize(
    ("first", "last", "times", "error"),
    [
        (FIRST, drawing(47, 64), [0.5], StageError),
        (FIRST[..., 0], LAST[..., 0], [0.5], StageError),
        (FIRST[..., :2], LAST[..., :2], [0.5], StageError),
        (FIRST.astype(np.float32), LAST, [0.5], StageError),
        (FIRST, LAST.astype(np.uint16), [0.5], StageError),
        (FIRST[:0], LAST[:0], [0.5], StageError),
        (FIRST, LAST, [1.5], UsageError),
        (FIRST, LAST, [float("nan")], UsageError),
    ],
)
def test_what_is_no_pair_of_pictures_is_refused(
    first: Any, last: Any, times: list[float], error: type[Exception], made: Callable[..., Rife]
) -> None:
    with pytest.raises(error):
        made()(first, last, times)


def test_close_lets_go_and_the_next_call_reads_again(made: Callable[..., Rife]) -> None:
    stage = made()
    frames = stage(FIRST, LAST, TIMES)
    stage.close()
    stage.close()
    assert stage._network is None and not stage._known
    assert same(stage(FIRST, LAST, TIMES), frames)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_on_a_gpu_a_frame_does_not_depend_on_the_times_beside_it(
    dtype: str, checkpoint: Checkpoint, stage_context: Callable[..., Any]
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    first, last = drawing(256, 448), drawing(256, 448, shift=20, seed=1)
    options = RifeOptions(file=str(checkpoint("4.25")))
    stage = Rife(options, stage_context(devices=("cuda",), dtype=dtype))
    frames = stage(first, last, TIMES)
    for index, time in enumerate(TIMES):
        assert same(stage(first, last, [time])[0], frames[index])
    exact = Rife(options, stage_context(devices=("cpu",), dtype="float32"))(first, last, TIMES).astype(float)
    assert 10 * np.log10(255**2 / ((frames - exact) ** 2).mean()) > 40
