"""Frames between frames: any interpolator for any time, run over each neighbouring pair of a sequence.

The same code serves the sixteen frames of a generated clip and a long film: frames come in and go out one pair at
a time, and a gap that is already there is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from animegen.pipeline.boundary import Unchanged, check_frames
from animegen.stages import Interpolator, SequenceInterpolator

if TYPE_CHECKING:
    from animegen.media import Frames, Image


def times_between(factor: int) -> tuple[float, ...]:
    """The times strictly inside a gap that make `factor` steps of it."""
    return tuple(step / factor for step in range(1, factor))


def fill_gaps(
    name: str,
    stage: Interpolator,
    images: Sequence[Callable[[], Image]],
    times: Sequence[float],
    *,
    multiple_of: int = 1,
) -> Iterator[Frames]:
    """For each neighbouring pair of `images`, the frames at `times` inside it.

    Args:
        name: The stage's name, for errors.
        stage: An interpolator for any time; its sequence call is used when it has one.
        images: Loaders of the images, so that no more than two are in memory here.
        times: Ascending, strictly inside (0, 1).
        multiple_of: What the stage asks of width and height; the edge is repeated, and cut off again.

    Yields:
        (len(times), H, W, 3) uint8 RGB, in order.
    """
    size: list[tuple[int, int]] = []

    def padded() -> Iterator[Image]:
        for load in images:
            image = load()
            size[:] = [(image.shape[0], image.shape[1])]
            yield _pad(image, multiple_of)

    if isinstance(stage, SequenceInterpolator):
        for frames in stage.sequence(padded(), [times] * (len(images) - 1)):
            yield _crop(name, frames, len(times), size[0], multiple_of)
        return
    for first, second in pairwise(padded()):
        with Unchanged(name, first, second):
            frames = stage(first, second, times)
        yield _crop(name, frames, len(times), size[0], multiple_of)


def _up(length: int, multiple_of: int) -> int:
    return -(-length // multiple_of) * multiple_of


def _pad(image: Image, multiple_of: int) -> Image:
    height, width = image.shape[:2]
    bottom, right = _up(height, multiple_of) - height, _up(width, multiple_of) - width
    return np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else image


def _crop(name: str, frames: object, count: int, size: tuple[int, int], multiple_of: int) -> Frames:
    height, width = size
    shape = (_up(height, multiple_of), _up(width, multiple_of), 3)
    return np.ascontiguousarray(check_frames(name, frames, count, shape)[:, :height, :width])
