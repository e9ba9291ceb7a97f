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
from PIL import Image as Pillow
from torch.nn.functional import interpolate

from animegen.errors import InputError, MissingError, ResourceError, StageError, UsageError
from animegen_eisai.network import Eisai as Networks
from animegen_eisai.network import Known
from animegen_eisai.plugin import EisaiOptions
from animegen_eisai.sizes import size_drawn
from animegen_eisai.stage import Eisai

Picture = NDArray[np.uint8]
TIMES = (0.2, 0.5, 0.8)


def drawing(height: int = 128, width: int = 136, *, shift: int = 0, seed: int = 0) -> Picture:
    """A dark ring on a ramp with grain, (height, width, 3) uint8 RGB."""
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(seed).integers(0, 9, (height, width, 1))
    ramp = np.stack((x * 90 / width + 90, y * 90 / height + 90, (x + y) * 0.3 + 60), 2) + grain
    away = np.hypot(y - height / 2, x - width / 3 - shift)
    ring = abs(away - min(height, width) / 4) < 2
    return np.where(ring[..., None], 30, ramp.clip(0, 255)).astype(np.uint8)


FIRST, LAST, THIRD = drawing(), drawing(shift=6, seed=1), drawing(shift=12, seed=2)


def same(one: Picture, other: Picture) -> bool:
    return np.array_equal(one, other)


def test_frames_are_the_networks_rounded_to_levels(made: Callable[..., Eisai]) -> None:
    stage = made()
    frames = stage(FIRST, LAST, TIMES)
    networks = stage._networks
    assert networks is not None
    one, other = (
        networks.know(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255) for image in (FIRST, LAST)
    )
    pair = networks.pair(one, other, 2)
    for frame, time in zip(frames, TIMES, strict=True):
        exact = networks.draw(pair, time)[0].permute(1, 2, 0).numpy() * 255
        assert np.abs(frame - exact).max() < 0.501


def test_a_frame_does_not_depend_on_the_times_beside_it(made: Callable[..., Eisai]) -> None:
    stage = made()
    frames = stage(FIRST, LAST, TIMES)
    assert len({frame.tobytes() for frame in frames}) == len(TIMES)
    assert same(stage(FIRST, LAST, TIMES[1:]), frames[1:])
    assert same(made()(FIRST, LAST, [TIMES[2]])[0], frames[2])


def test_flow_and_features_are_found_once_for_a_pair_and_features_once_for_a_frame(
    made: Callable[..., Eisai], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    know, flows = Networks.know, Networks.flows

    def counted_know(self: Networks, image: torch.Tensor) -> Known:
        calls.append("frame")
        return know(self, image)

    def counted_flows(self: Networks, *given: Any) -> Any:
        calls.append("pair")
        return flows(self, *given)

    monkeypatch.setattr(Networks, "know", counted_know)
    monkeypatch.setattr(Networks, "flows", counted_flows)
    stage = made(iterations=1)
    stage(FIRST, LAST, TIMES[:2])
    stage(FIRST.copy(), LAST.copy(), TIMES[2:])
    assert calls == ["frame", "frame", "pair"]
    shared = stage(LAST, THIRD, [0.5])
    assert calls[3:] == ["frame", "pair"]
    monkeypatch.undo()
    assert same(shared, made(iterations=1)(LAST, THIRD, [0.5]))


def test_an_array_that_is_written_over_is_seen_anew(made: Callable[..., Eisai]) -> None:
    stage, buffer = made(iterations=1), FIRST.copy()
    stage(buffer, LAST, [0.5])
    buffer[:] = THIRD
    assert same(stage(buffer, LAST, [0.5]), made(iterations=1)(THIRD, LAST, [0.5]))


@pytest.mark.parametrize("size", [(1, 1), (31, 65), (150, 128)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int], made: Callable[..., Eisai]) -> None:
    first, last = drawing(*size), drawing(*size, shift=2, seed=1)
    frames = made(iterations=1)(first, last, [0, 0.5, 1])
    assert frames.shape == (3, *size, 3) and frames.dtype == np.uint8
    assert same(frames[0], first) and same(frames[2], last)


@pytest.mark.parametrize(
    ("size", "source", "drawn"),
    [
        ("own", (77, 50), (77, 50)),
        ("published", (77, 50), (540, 960)),
        ("fitted", (1080, 1920), (540, 960)),
        ("fitted", (320, 512), (540, 864)),
        ("fitted", (1200, 800), (810, 540)),
        ("fitted", (256, 448), (540, 945)),
        ("fitted", (100, 1000), (192, 1920)),
        ("fitted", (1, 5000), (1, 1920)),
    ],
)
def test_sizes_that_are_drawn(size: str, source: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert size_drawn(source, size) == drawn


@pytest.mark.slow
def test_published_is_the_script_of_the_authors(made: Callable[..., Eisai]) -> None:
    stage = made(size="published", iterations=1)
    small = [one[:90, :130] for one in (FIRST, LAST)]
    frame = stage(*small, [0.25])[0]
    networks = stage._networks
    assert networks is not None
    images = [
        torch.from_numpy(np.array(Pillow.fromarray(one).resize((960, 540), Pillow.Resampling.BILINEAR)))
        .permute(2, 0, 1)[None]
        .float()
        / 255
        for one in small
    ]
    drawn = networks.draw(networks.pair(*(networks.know(one) for one in images), 1), 0.25)
    back = interpolate(drawn, (90, 130), mode="bilinear").clamp(0, 1) * 255
    assert same(frame, back[0].permute(1, 2, 0).to(torch.uint8).numpy())


@pytest.mark.slow
def test_headroom_is_taken_and_given_back(made: Callable[..., Eisai]) -> None:
    plain = made(iterations=1)(FIRST, FIRST, [0.5])[0].astype(int)
    roomy = made(iterations=1, headroom=0.08)(FIRST, FIRST, [0.5])[0].astype(int)
    assert not same(plain, roomy)
    assert abs(plain.mean() - roomy.mean()) < 12


@pytest.mark.slow  # where there are no units for it
def test_bfloat16_is_close_to_float32(made: Callable[..., Eisai]) -> None:
    exact = made(iterations=1, refine=False)(FIRST, LAST, [0.5]).astype(int)
    half = made(iterations=1, refine=False, dtype="bfloat16")(FIRST, LAST, [0.5]).astype(int)
    assert 0 < np.abs(exact - half).mean() < 2


def test_half_precision_is_never_taken_unasked(made: Callable[..., Eisai]) -> None:
    assert made(dtype="auto")._dtype == torch.float32


def test_closing_lets_go_and_the_next_call_begins_anew(made: Callable[..., Eisai]) -> None:
    stage = made(iterations=1)
    before = stage(FIRST, LAST, [0.5])
    stage.close()
    assert stage._networks is None and not len(stage._pairs) and not len(stage._frames)
    assert same(stage(FIRST, LAST, [0.5]), before)


def test_untrained_needs_no_file_and_is_always_the_same(stage_context: Callable[..., Any]) -> None:
    frames = [
        Eisai(EisaiOptions(size="own", iterations=1), stage_context(untrained=True))(FIRST, LAST, [0.5])
        for _ in range(2)
    ]
    assert same(*frames)
    assert frames[0].std() > 0


def test_out_of_memory_says_what_needs_less(made: Callable[..., Eisai], monkeypatch: pytest.MonkeyPatch) -> None:
    stage = made()

    def full(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Networks, "know", full)
    with pytest.raises(ResourceError, match="out of memory on cpu in eisai, on pictures of 136 × 128") as caught:
        stage(FIRST, LAST, [0.5])
    assert "a smaller picture needs less" in caught.value.hints


def test_a_missing_file_stops_before_anything_is_read(
    files: dict[str, Path], stage_context: Callable[..., Any]
) -> None:
    for name in files:
        rest = {other: path for other, path in files.items() if other != name}
        with pytest.raises(MissingError, match=name):
            Eisai(EisaiOptions(), stage_context(weights=rest))
    Eisai(EisaiOptions(refine=False), stage_context(weights={k: p for k, p in files.items() if "dtm" not in k}))


@pytest.mark.parametrize("option", ["ssl_file", "dtm_file", "flow_file"])
def test_a_file_of_the_users_own_that_is_not_there(
    option: str, files: dict[str, Path], stage_context: Callable[..., Any]
) -> None:
    with pytest.raises(InputError, match=f"option {option} of eisai") as caught:
        Eisai(EisaiOptions(**{option: "/nowhere/x.pt"}), stage_context(weights=files))
    assert "animegen weights fetch eisai" in caught.value.hints[0]


@pytest.mark.parametrize(
    ("first", "last", "times", "error"),
    [
        (FIRST, FIRST[:100], [0.5], StageError),
        (FIRST[..., 0], FIRST[..., 0], [0.5], StageError),
        (FIRST / 255, LAST / 255, [0.5], StageError),
        (np.dstack((FIRST, FIRST[..., :1])), np.dstack((LAST, LAST[..., :1])), [0.5], StageError),
        (FIRST, LAST, [1.5], UsageError),
        (FIRST, LAST, [float("nan")], UsageError),
    ],
)
def test_what_is_no_pair_or_no_time_is_refused(
    first: Any, last: Any, times: list[float], error: type[Exception], made: Callable[..., Eisai]
) -> None:
    with pytest.raises(error):
        made()(first, last, times)


def test_no_times_give_no_frames(made: Callable[..., Eisai]) -> None:
    assert made()(FIRST, LAST, []).shape == (0, *FIRST.shape)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_gpu_draws_the_same(dtype: str, files: dict[str, Path], stage_context: Callable[..., Any]) -> None:
    options = EisaiOptions(size="own", iterations=2)
    frames = [
        Eisai(options, stage_context(weights=files, devices=(device,), dtype=kind))(FIRST, LAST, TIMES).astype(int)
        for device, kind in (("cpu", "float32"), ("cuda", dtype))
    ]
    assert np.abs(frames[0] - frames[1]).mean() < (0.05 if dtype == "float32" else 3)
