"""The stage at its limits: too little memory, and torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
import torch

from animegen.errors import ResourceError
from animegen_rife import stage as stage_module
from animegen_rife.network import IFNet
from animegen_rife.stage import Rife

FIRST, LAST = (np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8) for seed in (0, 1))
TIMES = (0.1, 0.25, 1 / 3, 0.5, 0.9)


def same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    return np.array_equal(one, other)


def _greedy(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Let the network run out of memory with more than `most` times; the sizes it was asked for."""
    asked: list[int] = []
    forward = IFNet.forward

    def limited(self: IFNet, first: Any, last: Any, times: torch.Tensor, **more: Any) -> torch.Tensor:
        asked.append(len(times))
        if len(times) > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        return forward(self, first, last, times, **more)

    monkeypatch.setattr(IFNet, "forward", limited)
    return asked


def test_too_little_memory_makes_the_batch_smaller_once(
    made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [made(batch=2)(*pair, TIMES) for pair in ((FIRST, LAST), (LAST, FIRST))]
    stage = made(batch=5)
    asked = _greedy(monkeypatch, 2)
    assert same(stage(FIRST, LAST, TIMES), wanted[0])
    assert same(stage(LAST, FIRST, TIMES), wanted[1])
    assert asked == [5, 2, 2, 2, 2, 2, 2]
    assert len(stage.context.warnings) == 1  # type: ignore[attr-defined]


def test_too_little_memory_for_one_frame_says_what_needs_less(
    made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = made()
    _greedy(monkeypatch, 0)
    with pytest.raises(ResourceError) as caught:
        stage(FIRST, LAST, [0.5])
    assert "out of memory on cpu in rife" in caught.value.message
    assert any("rife.scale=0.5" in hint for hint in caught.value.hints)


def test_too_little_memory_while_a_frame_is_made_ready_says_so_too(
    made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = made(scale=0.25)

    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(stage_module, "to_tensor", full)
    with pytest.raises(ResourceError) as caught:
        stage(FIRST, LAST, [0.5])
    assert caught.value.hints and not any("scale" in hint for hint in caught.value.hints)


def test_every_batch_is_full(made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch) -> None:
    stage = made(batch=3)
    asked = _greedy(monkeypatch, 3)
    for count in (1, 2, 3, 4, 5):
        stage(FIRST, LAST, TIMES[:count])
    assert asked == [3, 3, 3, 3, 3, 3, 3]


def test_an_error_that_is_not_about_memory_goes_through(
    made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = made()

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(stage_module, "to_tensor", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        stage(FIRST, LAST, [0.5])


def test_a_compiled_network_that_gives_other_frames_is_not_used(
    made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = made()(FIRST, LAST, TIMES)
    monkeypatch.setattr(torch, "compile", lambda network, **_: lambda *a, **k: network(*a, **k) + 0.1)
    stage = made(compile=True)
    assert np.abs(stage(FIRST, LAST, TIMES).astype(int) - wanted).max() <= 1  # another order of sums
    assert ["other frames" in text for text in stage.context.warnings] == [True]  # type: ignore[attr-defined]


def test_a_network_that_cannot_be_compiled_runs_as_it_is(
    made: Callable[..., Rife], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = type("InvalidCxxCompiler", (RuntimeError,), {"__module__": "torch._inductor.exc"})

    def fails(*_: Any, **__: Any) -> None:
        raise error("no compiler is here")

    wanted = made()(FIRST, LAST, TIMES)
    monkeypatch.setattr(torch, "compile", lambda network, **_: fails)
    stage = made(compile=True)
    assert np.abs(stage(FIRST, LAST, TIMES).astype(int) - wanted).max() <= 1  # another order of sums
    assert ["no compiler is here" in text for text in stage.context.warnings] == [True]  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_frames(made: Callable[..., Rife]) -> None:
    stage = made("4.6", compile=True)
    frames = stage(FIRST, LAST, [0.5])
    assert not stage.context.warnings  # type: ignore[attr-defined]
    assert np.abs(frames.astype(int) - made("4.6")(FIRST, LAST, [0.5])).max() <= 1
