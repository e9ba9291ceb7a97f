"""Which frames of a clip have a sketch, where that is fewer than all of them.

The sketch encoder was trained with sketches at few frames, chosen in two ways (ToonCrafter, section 3.4): by bisection
of the clip, and at random.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from animegen.errors import UsageError


def bisection(frames: int) -> tuple[int, ...]:
    """All frames in the order of bisection: the middle, the quarters, the eighths ...

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
    return (*order, *_ends(frames))


def at_random(frames: int, seed: int) -> tuple[int, ...]:
    """All frames in a random order, the keyframes last; the same for the same seed, on every machine."""
    inside = list(range(1, frames - 1))
    # A generator of its own: the stream of noise that makes the clip is not touched.
    random.Random(f"sketches {seed}").shuffle(inside)
    return (*inside, *_ends(frames))


def evenly(frames: int, count: int) -> tuple[int, ...]:
    """`count` frames between the keyframes, at even distances; up to `frames` - 2."""
    if not 1 <= count <= frames - 2:
        raise ValueError(f"{count} of {frames - 2} frames")
    return tuple((2 * (index + 1) * (frames - 1) + count + 1) // (2 * (count + 1)) for index in range(count))


def choose(order: Sequence[int], among: Collection[int], count: int | None) -> tuple[int, ...]:
    """The first `count` of `order` that are `among` those with a drawing, ascending; all where None.

    Raises:
        UsageError: There are not so many.
    """
    if count is None:
        return tuple(sorted(among))
    if count > len(among):
        raise UsageError(
            f"sketch_count of tooncrafter is {count}; there are drawings for {len(among)} frames.",
            hint=f"use 1 .. {len(among)}, or leave sketch_count out",
        )
    return tuple(sorted([frame for frame in order if frame in among][:count]))


def explicit(frames: int, listed: Sequence[int]) -> tuple[int, ...]:
    """`listed`, checked, in the order given.

    Raises:
        UsageError: A frame is named twice, or is not in the clip.
    """
    if beyond := [frame for frame in listed if not 0 <= frame < frames]:
        raise UsageError(
            f"sketch_frames of tooncrafter names frame {beyond[0]}; the clip has frames 0 .. {frames - 1}.",
            hint=f"for example -o tooncrafter.sketch_frames={','.join(map(str, sorted(bisection(frames)[:3])))}",
        )
    if len(set(listed)) < len(listed):
        twice = next(frame for index, frame in enumerate(listed) if frame in listed[:index])
        raise UsageError(f"sketch_frames of tooncrafter names frame {twice} twice.", hint="name each frame once")
    return tuple(listed)


def _ends(frames: int) -> tuple[int, ...]:
    return tuple(sorted({0, frames - 1})) if frames > 0 else ()
