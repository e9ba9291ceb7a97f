"""Alpha through the upsampler: premultiplied to the stage, straight afterwards."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from animegen._cv2 import cv2
from animegen.builtin.crossfade import Crossfade
from animegen.builtin.flow import Flow
from animegen.builtin.plugin import FlowOptions
from animegen.stages import InterpolatorSpec, NoOptions
from animegen.upsampling.alpha import is_opaque, premultiply, unpremultiply
from animegen.upsampling.fill import fill
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import gaps, mark
from animegen.upsampling.timeline import Factor

CARRIES = InterpolatorSpec("mix", "toys:Mix", "Mixes.", carries_alpha=True)
DOES_NOT = InterpolatorSpec("mix", "toys:Mix", "Mixes.")


class Watched:
    """A stage, and what it was shown."""

    def __init__(self, stage):
        self.stage, self.shapes, self.pairs = stage, [], []

    def __call__(self, first, last, times, **call):
        self.shapes.append(first.shape)
        self.pairs.append((first, last))
        return self.stage(first, last, times, **call)


def between(record, images, stage=None, factor=2):
    watched = Watched(stage or Crossfade(NoOptions(), None))
    frames = [ArrayFrame(index, Fraction(index), image) for index, image in enumerate(images)]
    plans = Factor(factor, tail=False).place(gaps(mark(frames)))
    return [drawn.image for drawn in fill("mix", record, watched, plans)], watched


def noise(channels=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (30, 40, channels), np.uint8)


def test_there_and_back_loses_no_more_than_alpha_does():
    image = noise()
    back = unpremultiply(premultiply(image)[..., :3], image[..., 3])
    alpha = image[..., 3].astype(int)
    np.testing.assert_array_equal(back[..., 3], image[..., 3])
    assert (
        np.abs(back[..., :3].astype(int) - image[..., :3])[alpha > 0].max(axis=1) <= 127 / alpha[alpha > 0] + 1
    ).all()
    assert not back[alpha == 0].any()
    solid = image.copy()
    solid[..., 3] = 255
    assert premultiply(solid) is solid
    np.testing.assert_array_equal(unpremultiply(solid[..., :3], solid[..., 3]), solid)
    assert is_opaque(solid)
    assert is_opaque(solid[..., :3])
    assert not is_opaque(image)
    bright = unpremultiply(np.full((1, 1, 3), 200, np.uint8), np.full((1, 1), 100, np.uint8))
    assert bright.tolist() == [[[255, 255, 255, 100]]]  # brighter than its alpha allows
    nothing = unpremultiply(np.full((1, 1, 3), 9, np.uint8), np.zeros((1, 1), np.uint8))
    assert nothing.tolist() == [[[0, 0, 0, 0]]]  # a stage's overshoot where nothing is to be seen


@pytest.mark.parametrize("record", [CARRIES, DOES_NOT], ids=["carried", "apart"])
def test_hidden_colours_have_no_weight(record):
    first, last = (np.zeros((6, 8, 4), np.uint8) for _ in range(2))
    first[:] = 250, 10, 20, 255
    last[:] = 0, 255, 0, 0  # green that nobody can see
    (one, middle, other), _ = between(record, [first, last])
    assert one is first
    assert other is last
    assert np.abs(middle.astype(int) - [250, 10, 20, 128]).max() <= 1


def test_alpha_that_stands_still_is_not_drawn():
    first, last = noise(), noise(seed=1)
    last[..., 3] = first[..., 3]
    images, watched = between(DOES_NOT, [first, last])
    assert watched.shapes == [(30, 40, 3)]
    np.testing.assert_array_equal(images[1][..., 3], first[..., 3])
    moving, watched = between(DOES_NOT, [first, noise(seed=2)])
    assert watched.shapes == [(30, 40, 3)] * 2
    carried, watched = between(CARRIES, [first, noise(seed=2)])
    assert watched.shapes == [(30, 40, 4)]
    assert np.array_equal(carried[1][..., 3], moving[1][..., 3])


@pytest.mark.parametrize(("record", "calls"), [(CARRIES, 1), (DOES_NOT, 2)], ids=["carried", "apart"])
def test_the_stage_sees_a_shared_frame_as_one_object(record, calls):
    _, watched = between(record, [noise(seed=seed) for seed in range(3)])
    assert len(watched.pairs) == 2 * calls
    for one, two in zip(watched.pairs[:calls], watched.pairs[calls:], strict=True):
        assert one[1] is two[0]


def ring(x, y, height=180, width=320):
    """A red and white ring on nothing, straight alpha, with garbage where it is transparent."""
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (x, y), 36, 255, 16, cv2.LINE_AA)
    colours = np.zeros((height, width, 3), np.uint8)
    colours[:] = 220, 60, 40
    cv2.line(colours, (x - 50, y - 20), (x + 50, y + 30), (250, 250, 240), 14, cv2.LINE_AA)
    colours[alpha == 0] = 0, 255, 0
    return np.dstack([colours, alpha])


@pytest.mark.parametrize("carried", [True, False])
def test_a_ring_moves_with_its_alpha_and_without_a_rim(carried):
    class Context:
        def warn(self, message):
            raise AssertionError(message)

    record = CARRIES if carried else DOES_NOT
    (_, middle, _), _ = between(record, [ring(110, 80), ring(140, 96)], Flow(FlowOptions(), Context()))
    truth = ring(125, 88)
    apart = np.abs(middle[..., 3].astype(int) - truth[..., 3])
    assert apart.mean() < 4
    green = (middle[..., 1].astype(int) - middle[..., 0] > 40) & (middle[..., 3] > 8)
    assert not green.any()
    assert not middle[middle[..., 3] == 0].any()
