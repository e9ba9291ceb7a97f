"""The dissolve that every interpolator is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from animegen.builtin.crossfade import Crossfade
from animegen.stages import NoOptions


def dissolve(first, last, times):
    return Crossfade(NoOptions(), None)(first, last, times)


@pytest.mark.parametrize("size", [(37, 53), (1, 1), (1, 200)])
def test_every_frame_is_the_weighted_mean(size):
    rng = np.random.default_rng(0)
    first, last = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    before = first.copy(), last.copy()
    times = [0.0, 0.25, 0.5, 1.0]
    frames = dissolve(first, last, times)
    assert frames.dtype == np.uint8
    for frame, time in zip(frames, times, strict=True):
        assert np.abs(frame - (first * (1 - time) + last * time)).max() <= 0.5 + 1e-6
    assert np.array_equal(frames[0], first)
    assert np.array_equal(frames[-1], last)
    assert np.array_equal(first, before[0])
    assert np.array_equal(last, before[1])


def test_no_times_no_frames():
    image = np.zeros((4, 5, 3), np.uint8)
    assert dissolve(image, image, []).shape == (0, 4, 5, 3)


def test_alpha_is_mixed_like_a_colour():
    first, last = np.random.default_rng(1).integers(0, 256, (2, 9, 11, 4), dtype=np.uint8)
    (frame,) = dissolve(first, last, [0.25])
    assert np.abs(frame - (first * 0.75 + last * 0.25)).max() <= 0.5 + 1e-6
