"""From gaps to outputs: when each frame of the result is shown, and where in its gap that is.

All times are exact fractions: after a million frames the last is where it should be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from animegen.errors import UsageError

if TYPE_CHECKING:
    from animegen.upsampling.gaps import Gap

TICK = Fraction(1, 2000)
"""Seconds by which a time stamp may be off: Matroska rounds them to whole milliseconds."""


@dataclass(frozen=True, slots=True)
class Output:
    """One frame of the result.

    Attributes:
        number: Its number, from 0.
        time: When it is shown, in seconds.
        t: Where it lies in its gap, in [0, 1); 0 is the gap's first frame itself.
    """

    number: int
    time: Fraction
    t: Fraction


@dataclass(frozen=True, eq=False, slots=True)
class GapPlan:
    """A gap and the outputs that lie in it (perhaps none)."""

    gap: Gap
    outputs: tuple[Output, ...]


class Timeline(Protocol):
    """Says when frames are shown: `Factor` or `Rate`."""

    def place(self, gaps: Iterable[Gap]) -> Iterator[GapPlan]:
        """The outputs of each gap, numbered through."""

    def count(self, frames: int, length: Fraction) -> int:
        """Outputs for `frames` frames of a source that lasts `length` seconds, the last frame's own included."""


class Factor:
    """`n` frames for each frame: every interval of the source is cut into `n` equal parts.

    Time stamps of the source stay, also where its frame rate varies.

    Args:
        n: At least 2.
        tail: Whether the last frame is shown `n` times, so that the result is as long as the source; else once.

    Raises:
        UsageError: `n` is not a whole number of at least 2.
    """

    def __init__(self, n: int, *, tail: bool = True) -> None:
        if n != int(n):
            raise UsageError(
                f"the factor is {n}; it takes a whole number.",
                hint="for a fraction, say how many frames per second: --fps 60",
            )
        if n < 2:
            why = "leaves every frame as it is" if n == 1 else "would leave nothing"
            raise UsageError(
                f"the factor is {n}, which {why}; it takes 2 or more.",
                hint="--factor 2, or frames per second: --fps 60",
            )
        self.n, self.tail = int(n), tail

    def place(self, gaps: Iterable[Gap]) -> Iterator[GapPlan]:
        """The outputs of each gap, numbered through."""
        number = 0
        for gap in gaps:
            outputs = []
            length = gap.end - gap.start
            steps = self.n if gap.last is not None or (self.tail and length) else 1
            for index, time in enumerate(gap.times):
                interval = (gap.times[index + 1] if index + 1 < len(gap.times) else gap.end) - time
                for step in range(steps):
                    shown = time + interval * step / self.n if step else time
                    t = (shown - gap.start) / length if length else Fraction(0)
                    outputs.append(Output(number, shown, t))
                    number += 1
            yield GapPlan(gap, tuple(outputs))

    def count(self, frames: int, length: Fraction) -> int:
        """Outputs for `frames` frames of a source; `length` does not matter."""
        return frames * self.n if self.tail else max(0, (frames - 1) * self.n + 1)


class Rate:
    """Even frame rate: output k is shown at k / fps, whatever the time stamps of the source.

    A frame of the source less than `TICK` away from an output is taken for that output.

    Args:
        fps: Frames per second of the result.
        tail: Whether the last frame is shown for as long as it lasts; else up to its own time stamp.
        source: Frames per second of the source, which `fps` must be above; None does not look.

    Raises:
        UsageError: `fps` is not above the source's.
    """

    def __init__(self, fps: Fraction | int, *, tail: bool = True, source: Fraction | None = None) -> None:
        fps = Fraction(fps)
        if source is not None and fps <= source:
            raise UsageError(
                f"{_text(fps)} frames per second are asked for; the source has {_text(source)} already.",
                hint=f"--fps {_text(2 * source)}, or --factor 2",
            )
        if fps <= 0:
            raise UsageError(f"{_text(fps)} frames per second cannot be played.", hint="--fps 60, or --factor 2")
        self.fps, self.tail = fps, tail
        self._snap = min(TICK, 1 / (8 * fps))

    def place(self, gaps: Iterable[Gap]) -> Iterator[GapPlan]:
        """The outputs of each gap, numbered through."""
        origin: Fraction | None = None
        for gap in gaps:
            if origin is None:
                origin = gap.start
            begin = self._number(gap.start - origin)
            end = self._number(gap.end - origin)
            length = gap.end - gap.start
            if gap.last is None and (not self.tail or not length):
                end = math.floor((gap.start - origin + self._snap) * self.fps) + 1
            outputs = []
            for number in range(begin, end):
                time = origin + number / self.fps
                since = time - gap.start
                # Frames that retimed duplicates stood on are no longer there to be taken.
                outputs.append(Output(number, time, since / length if since > self._snap else Fraction(0)))
            yield GapPlan(gap, tuple(outputs))

    def count(self, frames: int, length: Fraction) -> int:
        """Outputs for a source of `frames` frames that lasts `length` seconds."""
        return max(1, self._number(length)) if frames else 0

    def _number(self, since: Fraction) -> int:
        """Number of the first output at `since` or later (or hardly earlier)."""
        return max(0, math.ceil((since - self._snap) * self.fps))


def _text(fps: Fraction) -> str:
    return str(fps) if fps.denominator == 1 or fps.denominator == 1001 else f"{float(fps):.3f}".rstrip("0").rstrip(".")
