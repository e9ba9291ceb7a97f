"""Numbers as people read them: a true minus, ∞, a dash for what is missing, digits that the interval carries."""

from __future__ import annotations

import math

from animegen_eval.statistics.records import Interval

NONE = "–"
_DIGITS = 4
_TIMES = 10.0
"""Relative changes from here on are told as a factor."""


def number(value: float | None, digits: int = _DIGITS) -> str:
    """Four significant digits; ``∞`` for infinite values, ``–`` where there is none."""
    if value is None:
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if value == 0:
        return "0"
    if not 1e-4 <= size < 1e5:
        return _minus(f"{value:.{digits - 1}e}")
    return _minus(f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}")


def signed(value: float | None) -> str:
    """As `number`, with a plus sign."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text


def span(interval: Interval | None) -> str:
    """``0.12 to 0.15``, both ends with as many decimals as the width carries."""
    if interval is None:
        return NONE
    places = _places(interval)
    if places is None:
        return f"{number(interval.low, 3)} to {number(interval.high, 3)}"
    return _minus(f"{interval.low:.{places}f} to {interval.high:.{places}f}")


def estimate(value: float, interval: Interval | None) -> str:
    """A value with the decimals of its interval, and its sign."""
    places = None if interval is None else _places(interval)
    if places is None:
        return signed(value)
    return _minus(f"{value:+.{places}f}")


def _places(interval: Interval) -> int | None:
    """Decimals with which the width of an interval has two digits; None where decimals will not do."""
    low, high = interval.low, interval.high
    ends = [abs(end) for end in (low, high) if end and math.isfinite(end)]
    if not ends or not 1e-4 <= max(ends) < 1e5:
        return None
    width = high - low if high > low else max(ends)
    return min(6, max(0, 1 - math.floor(math.log10(width))))


def chance(p: float | None) -> str:
    """A p-value after an equals or less-than sign: ``= 0.012``, ``< 0.001``."""
    if p is None:
        return f"= {NONE}"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def percent(share: float | None) -> str:
    """A share with its sign: ``−61.3 %``; ``×23`` for what is many times more."""
    if share is None or not math.isfinite(share):
        return NONE
    if share >= _TIMES:  # near a baseline of 0 a percentage is a row of digits
        return f"×{1 + share:.2g}"
    return _minus(f"{100 * share:+.1f} %") if share else "0 %"


def _minus(text: str) -> str:
    return text.replace("-", "−")
