"""Flicker and VBench's scores: what raises them, what does not, and which clips fool them."""

from __future__ import annotations

import numpy as np
import pytest

from animegen.measuring import Missing, Sample
from animegen_video_metrics.flicker import Flicker, standing_still
from animegen_video_metrics.vbench import VBench, dynamic_degree, smoothness


def ramp(levels: list[int], size: tuple[int, int] = (24, 32)) -> np.ndarray:  # type: ignore[type-arg]
    return np.stack([np.full((*size, 3), level, np.uint8) for level in levels])


def score(frames: np.ndarray, panels: np.ndarray | None = None) -> dict:  # type: ignore[type-arg]
    return dict(Flicker()(Sample(frames, tuple(np.linspace(0, 1, len(frames))), panels=panels)))


def test_steady_change_is_no_flicker() -> None:
    found = score(ramp([10, 20, 30, 40]))
    assert found["luma-d2"] == pytest.approx(0, abs=1e-9)
    assert found["flicker-d2"] == 0
    assert found["flicker-mae"] == [10, 10, 10]


def test_a_flash_is() -> None:
    found = score(ramp([100, 130, 100, 100]))
    assert found["luma-d2"] == pytest.approx((60 + 30) / 2)
    assert found["flicker-d2"] == pytest.approx(45)


def test_bytes_do_not_wrap_round() -> None:
    assert score(ramp([255, 0, 255]))["flicker-d2"] == 510


def test_what_should_stand_still() -> None:
    panels = ramp([200, 200])
    panels[1, :10, :10] = 0
    still = standing_still(panels)
    assert still[-1, -1] and not still[5, 5] and not still[5, 15] and still[5, 20]
    frames = ramp([200, 206, 200])
    frames[:, :10, :10] = 0
    assert score(frames, panels)["static-flicker"] == pytest.approx(6)
    assert standing_still(panels[[0, 0]]).all()
    assert isinstance(score(frames, ramp([0, 255]))["static-flicker"], Missing)
    assert isinstance(score(frames)["static-flicker"], Missing)


def test_short_clips() -> None:
    one, two = score(ramp([5]), ramp([5, 5])), score(ramp([5, 9]))
    assert (
        one["flicker-mae"] == [] and isinstance(one["luma-d2"], Missing) and isinstance(one["static-flicker"], Missing)
    )
    assert two["flicker-mae"] == [4] and isinstance(two["flicker-d2"], Missing)
    scores = VBench()(Sample(ramp([5]), (0,)))
    assert all(isinstance(value, Missing) for value in scores.values())


def test_a_dissolve_is_smoothest_and_does_not_move() -> None:
    found = VBench()(Sample(ramp([0, 20, 40, 60, 80]), (0, 0.25, 0.5, 0.75, 1)))
    assert found["vbench-motion-smoothness-mean"] == 1
    assert found["vbench-temporal-flickering"] == pytest.approx(1 - 20 / 255)
    assert found["vbench-dynamic-degree-dis"] == 0


def test_halves_are_rounded_to_even() -> None:
    assert smoothness(ramp([0, 0, 1])) == 1
    assert smoothness(ramp([1, 2, 2])) == 1


def test_enough_steps_must_move_far_enough() -> None:
    flow = np.zeros((32, 64, 2), np.float32)
    flow[:2, :52] = 3  # the fastest twentieth
    degree = dynamic_degree([flow, flow, 0 * flow, 0 * flow, 0 * flow, 0 * flow, 0 * flow])
    assert degree.threshold == pytest.approx(0.75) and degree.needed == 2
    assert degree.lengths[0] == pytest.approx(3 * 2**0.5)
    assert degree.moves and not dynamic_degree([flow] + [0 * flow] * 6).moves
