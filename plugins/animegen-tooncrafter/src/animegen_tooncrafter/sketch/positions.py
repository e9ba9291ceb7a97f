"""Which frames of a clip have a sketch, where that is fewer than all of them.

The sketch encoder was trained with sketches at few frames, chosen in two ways (ToonCrafter, section 3.4): by bisection
of the clip, and at random.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from animegen.errors import UsageError

PATTERNS = ("bisection", "random")


def bisection(frames: int, count: int | None = None) -> tuple[int, ...]:
    """The first `count` frames (all where None) in the order of bisection: the middle, the quarters, the eighths ...

    Of 16 frames that is 8, 4, 12, 2, 6, 10, 14, 1, 3, ... A level goes from left to right; the two keyframes come
    last, since they are known without a sketch.
    """
    order: list[int] = []
    level = [(0, frames - 1)]
    while level:
        deeper = []
        for left, right in level:
            if right - left < 2:
                continue
            middle = (left + right + 1) // 2
            order.append(middle)
            deeper += [(left, middle), (middle, right)]
        level = deeper
    ends = [0] if frames == 1 else [0, frames - 1]
    return tuple((order + ends)[: _counted(frames, count)])


def at_random(frames: int, count: int | None, seed: int) -> tuple[int, ...]:
    """`count` different frames, ascending; the keyframes only where more are asked for than lie between them.

    The same for the same seed, on every machine.
    """
    count = _counted(frames, count)
    inside = list(range(1, frames - 1))
    ends = [0] if frames == 1 else [0, frames - 1]
    # Drawn by a generator of its own: the stream of noise that makes the clip is not touched.
    chosen = random.Random(f"sketches {seed}").sample(inside, min(count, len(inside)))
    return tuple(sorted(chosen + ends[: count - len(chosen)]))


def explicit(frames: int, listed: Sequence[int]) -> tuple[int, ...]:
    """`listed`, checked, in the order given.

    Raises:
        UsageError: A frame is named twice, or is not in the clip.
    """
    if beyond := [frame for frame in listed if not 0 <= frame < frames]:
        raise UsageError(
            f"sketch_frames of tooncrafter names frame {beyond[0]}; the clip has frames 0 .. {frames - 1}.",
            hint=f"for example -o tooncrafter.sketch_frames={_example(frames)}",
        )
    if len(set(listed)) < len(listed):
        twice = next(frame for index, frame in enumerate(listed) if frame in listed[:index])
        raise UsageError(f"sketch_frames of tooncrafter names frame {twice} twice.", hint="name each frame once")
    return tuple(listed)


def _counted(frames: int, count: int | None) -> int:
    if frames < 1:
        raise ValueError(f"a clip of {frames} frames")
    if count is None:
        return frames
    if not 1 <= count <= frames:
        raise UsageError(
            f"sketch_count of tooncrafter is {count}; the clip has {frames} frames.", hint=f"use 1 .. {frames}"
        )
    return count


def _example(frames: int) -> str:
    return ",".join(map(str, sorted(bisection(frames, min(3, frames)))))
