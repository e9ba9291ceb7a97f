"""Black bars stay black: what is a bar in both frames is a bar between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from animegen.media import Image

BLACKEST = 20
"""Brightest value in a bar: 0, or 16 where a range was mistaken, and what compression adds."""
FLAT = 6
"""Largest range of values in a bar: rounding and compression, not drawing in the dark."""
_STEP = 8


class Bars(NamedTuple):
    """Widths of the bars of a picture, px."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def common(self, other: Bars) -> Bars:
        """What is bar in both."""
        return Bars(*map(min, self, other))

    @property
    def any(self) -> bool:
        return max(self) > 0


def find_bars(image: Image) -> Bars:
    """Rows and columns at the borders of (H, W, 3 or 4) uint8 that are black and flat from end to end.

    A dark scene is none: it is drawn, so its rows are not flat. Where there is alpha, a bar is opaque.
    """
    across = image.transpose(1, 0, 2)
    return Bars(_depth(image), _depth(image[::-1]), _depth(across), _depth(across[::-1]))


def _depth(image: Image) -> int:
    """Rows from the top on that are black, and flat together."""
    height: int = image.shape[0]
    low, high = 255, 0
    for start in range(0, height, _STEP):
        rows = image[start : start + _STEP]
        opaque = rows[..., 3].min(axis=1) == 255 if rows.shape[2] == 4 else np.ones(len(rows), bool)
        highest = rows[..., :3].max(axis=(1, 2))
        if highest[0] > BLACKEST:
            return start
        lowest = rows[..., :3].min(axis=(1, 2))
        for index in range(len(rows)):
            low, high = min(low, int(lowest[index])), max(high, int(highest[index]))
            if high > BLACKEST or high - low > FLAT or not opaque[index]:
                return start + index
    return height


def keep_bars(frame: Image, source: Image, bars: Bars) -> Image:
    """`frame` with the bars of `source`; a copy, because a stage may keep what it drew."""
    height, width = frame.shape[:2]
    result = source.copy()
    inside = slice(bars.top, height - bars.bottom), slice(bars.left, width - bars.right)
    result[inside] = frame[inside]
    return result
