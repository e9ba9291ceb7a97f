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
_RINGING = 8  # px: a block of the encoder that holds the edge of the picture rings as far into the bar
_RINGS, _RINGS_MEAN = 48, 4.0  # largest and mean value of such a row, the latter above the bar's


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
    top = _depth(image)
    if top == image.shape[0]:
        return Bars(top=top)
    bottom = _depth(image[::-1])
    across = image[top : image.shape[0] - bottom].transpose(1, 0, 2)
    return Bars(top, bottom, _depth(across), _depth(across[::-1]))


def _depth(image: Image) -> int:
    """Rows from the top on that belong to a bar."""
    flat = _flat(image)
    return flat + (_ringing(image, flat) if _RINGING <= flat < image.shape[0] else 0)


def _flat(image: Image) -> int:
    """Rows from the top on that are black, and flat together."""
    height: int = image.shape[0]
    low, high = 255, 0
    for start in range(0, height, _STEP):
        rows = image[start : start + _STEP]
        values = np.ascontiguousarray(rows[..., :3]).reshape(len(rows), -1)
        for index, (lowest, highest) in enumerate(
            zip(values.min(axis=1).tolist(), values.max(axis=1).tolist(), strict=True)
        ):
            low, high = min(low, lowest), max(high, highest)
            see_through = image.shape[2] == 4 and bool((rows[index, :, 3] < 255).any())
            if high > BLACKEST or high - low > FLAT or see_through:
                return start + index
    return height


def _ringing(image: Image, start: int) -> int:
    """Rows from `start` on that are black but for what compression let in from the picture."""
    rows = image[start : start + _RINGING, :, :3]
    level = float(image[start - 1, :, :3].mean())
    rings = (rows.max(axis=(1, 2)) <= _RINGS) & (rows.mean(axis=(1, 2)) <= level + _RINGS_MEAN)
    if image.shape[2] == 4:
        rings &= image[start : start + _RINGING, :, 3].min(axis=1) == 255
    return int(np.argmin(rings)) if not rings.all() else len(rings)


def keep_bars(frame: Image, source: Image, bars: Bars) -> Image:
    """`frame` with the bars of `source`; a copy, because a stage may keep what it drew."""
    height, width = frame.shape[:2]
    result = source.copy()
    inside = slice(bars.top, height - bars.bottom), slice(bars.left, width - bars.right)
    result[inside] = frame[inside]
    return result
