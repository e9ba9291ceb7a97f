"""From a found region to the mask handed out: outline, growth, and the region's own box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box, Region
from animegen_manga.balloons.shape import dilate, disc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask

WIDEST = 7
"""Widest outline looked for, px."""

DISTINCT = 24
"""How much darker than what lies beyond it a line must be, grey levels, to be one."""


def outline_width(mask: Mask, difference: NDArray[np.uint8]) -> int:
    """Width of the line drawn around a region with its soft edge, px: 2 or more.

    Read off rings around the region: the line ends half way down from the darkest ring to the lightest one beyond. A
    balloon painted without a line, or on black, has none, and gets the 2 px of its own soft edge.

    Args:
        mask: (H, W) bool.
        difference: (H, W) uint8, difference from the paper.
    """
    profile: list[float] = []
    inner = mask
    for _ in range(WIDEST + 1):
        outer = dilate(inner, 1)
        ring = outer & ~inner
        profile.append(float(difference[ring].mean()) if ring.any() else 0.0)
        inner = outer
    peak = int(np.argmax(profile[: WIDEST - 2]))
    beyond = min(profile[peak:])
    if profile[peak] - beyond < DISTINCT:
        return 2
    half = (profile[peak] + beyond) / 2
    return max(2, next(k for k in range(peak, WIDEST + 1) if profile[k] < half))


def region_of(mask: Mask, score: float, method: str, *, grow: int = 0, within: Mask | None = None) -> Region:
    """A balloon from a mask of the whole picture, grown by `grow` px (shrunk when negative).

    Args:
        mask: (H, W) bool, not empty.
        score: How sure the finder is, in [0, 1].
        method: How it was found.
        grow: Pixels added all around.
        within: (H, W) bool, where the mask must stay, or None for anywhere.
    """
    height, width = mask.shape
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    pad = max(0, grow) + 1
    box = Box(x - pad, y - pad, x + w + pad, y + h + pad).clip(width, height)
    crop = mask[box.y0 : box.y1, box.x0 : box.x1]
    if grow > 0:
        crop = dilate(crop, grow)
        if within is not None:
            crop = crop & within[box.y0 : box.y1, box.x0 : box.x1]
    elif grow < 0:
        smaller = cv2.erode(crop.astype(np.uint8), disc(-grow)) > 0
        crop = smaller if smaller.any() else crop
    x, y, w, h = cv2.boundingRect(crop.astype(np.uint8))
    tight = Box(x, y, x + w, y + h).shift(box.x0, box.y0)
    return Region("balloon", tight, min(1.0, score), method, np.ascontiguousarray(crop[y : y + h, x : x + w]))
