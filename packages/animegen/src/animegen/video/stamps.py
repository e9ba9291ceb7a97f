"""Time stamps of a stream: exact, put back on the grid that a coarse clock rounded away, repaired where broken."""

from __future__ import annotations

from fractions import Fraction

_NTSC = tuple(Fraction(1000 * whole, 1001) for whole in (24, 30, 48, 60, 120))
_RATES = (*map(Fraction, (8, 10, 12, 15, 16, 24, 25, 30, 48, 50, 60, 100, 120)), *_NTSC)
_MILLISECOND = Fraction(1, 1000)


def meant_rate(rate: Fraction, base: Fraction, tick: Fraction) -> Fraction:
    """The rate a file means.

    A clock that can tell `rate` exactly is believed; or `base`, where it can tell that one and a last frame of
    another length is all that lies between them. Where milliseconds were counted on the way, 24000/1001 comes out
    as 2997/125 or as 384000/16013; the nearest rate of film and television is meant.

    Args:
        rate: The average.
        base: The finest that the first frames are multiples of, by libav's estimate; 0 where it has none.
        tick: The clock, in seconds.
    """
    if (1 / rate / tick).denominator == 1:
        return rate
    if base and (1 / base / tick).denominator == 1 and abs(base / rate - 1) < Fraction(1, 50):
        return base
    near = min(_RATES, key=lambda known: abs(known - rate))
    # 24 and 24000/1001 differ by 0.001. A rate that somebody wrote down has a small denominator.
    slack = Fraction(4, 10_000) if rate.denominator > 1001 else Fraction(5, 100_000)
    return near if abs(near / rate - 1) <= slack else rate


class Stamps:
    """Turns the stamps of one pass over a stream into seconds since its first frame.

    Matroska and FLV count milliseconds, so that 24000/1001 frames per second lie at 0, 42, 83, 125 ms, and keep
    this roughness when they are copied to MP4. As long as all stamps are within a millisecond (or a tick) of a
    multiple of 1/`rate`, that multiple is the time; the first that is not ends this, and from there the stamps are
    taken as they are. They are so from the start by a clock that can tell the multiples exactly, and by a fine
    clock where `rate` is none of film or television, but an average.

    Args:
        tick: The stream's clock, in seconds.
        rate: Frames per second, see `meant_rate`.

    Attributes:
        repaired: How many stamps were missing or not after the one before, and were set by the rate.
        uneven: Whether two distances between frames differ.
    """

    def __init__(self, tick: Fraction, rate: Fraction) -> None:
        self._tick, self._period = tick, 1 / rate
        self._grid = (self._period / tick).denominator != 1 and (rate in _RATES or tick >= _MILLISECOND)
        self._near = max(tick, _MILLISECOND)
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

    def settled(self, duration: Fraction) -> Fraction:
        """A duration by the stream's clock, put on the grid as the times are."""
        return self._period if self._grid and abs(duration - self._period) <= 2 * self._near else duration

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
                self._grid = abs(near - time) <= self._near
                time = near if self._grid else time
        if time is None or time <= self._last:
            self.repaired += 1
            return self._last + self._period
        return time
