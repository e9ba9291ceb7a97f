"""How a frame at a time between two images is come by: which frames are drawn first, and from which two each is drawn.

The network was trained for the time half way and for no other. So a time is reached by halving where it can be, and by
a time of its own within an interval where it cannot. What is drawn for a time follows from that time alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

import numpy as np

MOST_PARTS = 64
"""Times k / n with n up to this are drawn as those who ask for n - 1 frames between two get them."""
DEEPEST = 10
"""Halvings of a time that only halving reaches."""
_CLOSE = 1e-6


@dataclass(frozen=True)
class Step:
    """A frame that is drawn: `at` of the way from one frame to another. Two steps that are equal give one frame.

    Attributes:
        left, right: Where from: 0 and 1 are the images, everything else was drawn before.
        at: 0 to 1.
        time: Between the images, for people.
    """

    left: Step | int
    right: Step | int
    at: float
    time: float

    @property
    def depth(self) -> int:
        """How many frames are drawn one from another until this one is."""
        return 1 + max(one.depth if isinstance(one, Step) else 0 for one in (self.left, self.right))


@lru_cache(4096)
def recursion(time: float) -> Step:
    """The frame at a time strictly between 0 and 1, as the port to PyTorch and the programs around it come by it.

    Halves of halves are reached by halving alone. A time k / n is reached as the k-th of n - 1 frames (`inbetweens`).
    Any other time is halved towards until it lies in the middle half of an interval, and drawn there.
    """
    if (halves := halving(time)) is not None:
        return halves
    share = Fraction(time).limit_denominator(MOST_PARTS)
    if abs(share - Fraction(time)) < _CLOSE and 0 < share < 1:
        return _of_count(share.numerator, share.denominator - 1)
    low, high = 0.0, 1.0
    left: Step | int = 0
    right: Step | int = 1
    while not 0.25 <= (at := (time - low) / (high - low)) <= 0.75:
        middle = (low + high) / 2
        step = Step(left, right, 0.5, middle)
        if at < 0.5:
            right, high = step, middle
        else:
            left, low = step, middle
    return Step(left, right, at, time)


def halving(time: float) -> Step | None:
    """As the original comes by a frame: by halving alone. None for a time that it cannot draw."""
    share = Fraction(time)
    if share.denominator > 2**DEEPEST or not 0 < share < 1:
        return None
    left: Step | int = 0
    right: Step | int = 1
    low, high = Fraction(0), Fraction(1)
    while True:
        middle = (low + high) / 2
        step = Step(left, right, 0.5, float(middle))
        if middle == share:
            return step
        if share < middle:
            right, high = step, middle
        else:
            left, low = step, middle


def direct(time: float) -> Step:
    """At once, whatever the time: ComfyUI's way, with the flow of the pair scaled."""
    return Step(0, 1, time, time)


@cache
def inbetweens(count: int) -> tuple[tuple[int, int, int, float], ...]:
    """The order in which `count` evenly spaced frames are drawn between two, each from its two neighbours so far.

    Of all frames that are not there yet and all pairs of neighbours that are, it is always the frame and the pair for
    which the frame lies nearest to the middle; the first of those that lie equally near. In float32, whose rounding
    decides between them.

    Returns:
        (left, right, target, time), images being 0 and `count` + 1.
    """
    places = _places(count + 2)
    known, missing = [0, count + 1], list(range(1, count + 1))
    order = []
    while missing:
        starts, ends = places[known[:-1]], places[known[1:]]
        at = (places[missing][None] - starts[:, None]) / (ends - starts)[:, None]
        pair, which = divmod(int(np.argmin(np.abs(at - np.float32(0.5)))), len(missing))
        target = missing.pop(which)
        order.append((known[pair], known[pair + 1], target, float(at[pair, which])))
        known.insert(pair + 1, target)
    return tuple(order)


def _places(count: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """`count` times from 0 to 1 in float32, from both ends towards the middle, as torch spaces them."""
    step = np.float64(np.float32(1) / np.float32(count - 1))
    number = np.arange(count)
    # Rounded once: torch multiplies and subtracts in one operation.
    return np.where(number < count // 2, number * step, 1 - number[::-1] * step).astype(np.float32)


def _of_count(target: int, count: int) -> Step:
    steps: dict[int, Step | int] = {0: 0, count + 1: 1}
    for left, right, here, at in inbetweens(count):
        steps[here] = Step(steps[left], steps[right], at, here / (count + 1))
        if here == target:
            break
    found = steps[target]
    assert isinstance(found, Step)
    return found
