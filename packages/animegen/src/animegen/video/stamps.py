"""Time stamps of a stream: exact, put back on the grid that a coarse clock rounded away, repaired where broken."""

from __future__ import annotations

from fractions import Fraction


class Stamps:
    """Turns the stamps of one pass over a stream into seconds since its first frame.

    Matroska and FLV count milliseconds, so that 24000/1001 frames per second lie at 0, 42, 83, 125 ms. As long as
    all stamps are within one tick of a multiple of 1/`rate`, that multiple is the time; the first that is not ends
    this, and the stamps are taken as they are. A clock that can tell the multiples is always taken as it is.

    Args:
        tick: The stream's clock, in seconds.
        rate: Frames per second that the file names.

    Attributes:
        repaired: How many stamps were missing or not after the one before, and were set by the rate.
        uneven: Whether two distances between frames differ.
    """

    def __init__(self, tick: Fraction, rate: Fraction) -> None:
        self._tick, self._period = tick, 1 / rate
        self._grid = (self._period / tick).denominator != 1
        self._first: int | None = None
        self._last: Fraction | None = None
        self._step: Fraction | None = None
        self.repaired = 0
        self.uneven = False

    def time(self, stamp: int | None) -> Fraction:
        """The time of the next frame, whose stamp in ticks is `stamp`."""
        time = self._time(stamp)
        if self._last is not None:
            step = time - self._last
            self.uneven = self.uneven or (self._step is not None and step != self._step)
            self._step = step
        self._last = time
        return time

    def _time(self, stamp: int | None) -> Fraction:
        if self._last is None:
            self._first = stamp
            self.repaired += stamp is None
            return Fraction(0)
        if self._first is None and stamp is not None:  # the first to have one; those before went by the rate
            self._first = stamp - round((self._last + self._period) / self._tick)
        time = None
        if stamp is not None and self._first is not None:
            time = (stamp - self._first) * self._tick
            if self._grid:
                near = round(time / self._period) * self._period
                self._grid = abs(near - time) <= self._tick
                time = near if self._grid else time
        if time is None or time <= self._last:
            self.repaired += 1
            return self._last + self._period
        return time

    def settled(self, duration: Fraction) -> Fraction:
        """A duration by the stream's clock, put on the grid as the times are."""
        return self._period if self._grid and abs(duration - self._period) <= 2 * self._tick else duration
