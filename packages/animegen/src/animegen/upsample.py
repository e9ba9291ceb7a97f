"""Frames between frames: any interpolator for any time, run over each neighbouring pair of a sequence.

The same code serves the sixteen frames of a generated clip and a long film: frames come in and go out one pair at
a time, and a gap that is already there is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from animegen.checks import Unchanged, check_frames
from animegen.stages import Interpolator, SequenceInterpolator

if TYPE_CHECKING:
    from animegen.media import Frames, Image


def times_between(factor: int) -> tuple[float, ...]:
    """The times strictly inside a gap that make `factor` steps of it."""
    return tuple(step / factor for step in range(1, factor))


def fill_gaps(
    name: str, stage: Interpolator, images: Sequence[Callable[[], Image]], times: Sequence[float]
) -> Iterator[Frames]:
    """For each neighbouring pair of `images`, the frames at `times` inside it.

    Args:
        name: The stage's name, for errors.
        stage: An interpolator for any time; its sequence call is used when it has one.
        images: Loaders of the images, so that no more than two are in memory here.
        times: Ascending, strictly inside (0, 1).

    Yields:
        (len(times), H, W, 3) uint8 RGB, in order.
    """
    if isinstance(stage, SequenceInterpolator):
        last: list[Image] = []
        filled = stage.sequence(_keep(images, last), [times] * (len(images) - 1))
        for frames in filled:
            yield check_frames(name, frames, len(times), last[-1])
        return
    loaded = (load() for load in images)
    for first, second in pairwise(loaded):
        with Unchanged(name, first, second):
            frames = stage(first, second, times)
        yield check_frames(name, frames, len(times), first)


def _keep(images: Iterable[Callable[[], Image]], last: list[Image]) -> Iterator[Image]:
    for load in images:
        last[:] = [load()]
        yield last[0]
