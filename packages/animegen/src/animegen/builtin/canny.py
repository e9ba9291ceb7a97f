"""Edges by Canny's method ("A Computational Approach to Edge Detection", PAMI 1986), as scikit-image finds them.

OpenCV's Canny works on integers with a 3 × 3 neighbourhood of its own; a metric that counts edges needs one rule, in
floating point, that gives the same edges in every version of every library. (But for ties: where both sides of an edge
are alike, the last bit of a sum decides which is its crest.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask

_ROW = np.array([[1.0, 2.0, 1.0]])
_SLOPE = np.array([[-1.0, 0.0, 1.0]])


def canny(grey: NDArray[np.floating], *, sigma: float = 1.0, low: float = 0.1, high: float = 0.2) -> Mask:
    """Pixels on an edge, (H, W) bool.

    Args:
        grey: (H, W), of any range.
        sigma: Width of the Gaussian before, px.
        low, high: Of the gradient's length by Sobel's operator, in units of `grey`: edges are what lies above `low`
            and hangs together with something above `high`.
    """
    smooth = _smooth(grey.astype(np.float64), sigma)
    down, across = (cv2.sepFilter2D(smooth, -1, *kernels, borderType=cv2.BORDER_REFLECT) for kernels in _sobel())
    crests = _crests(down, across, low)
    count, labels = cv2.connectedComponents(crests.astype(np.uint8), connectivity=8)
    strong = np.zeros(count, bool)
    strong[labels[crests & (np.hypot(down, across) >= high)]] = True
    strong[0] = False  # what is no crest
    return np.asarray(strong[labels])


def _sobel() -> tuple[tuple[NDArray[np.float64], ...], tuple[NDArray[np.float64], ...]]:
    """Kernels along rows and along columns of both derivatives."""
    return (_ROW, _SLOPE), (_SLOPE, _ROW)


def _smooth(grey: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian in which nothing outside the picture has weight."""
    size = 2 * int(4 * sigma + 0.5) + 1
    kernel = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    kernel /= kernel.sum()
    blurred, weight = (
        cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
        for values in (grey, np.ones_like(grey))
    )
    return np.asarray(blurred / (weight + np.finfo(float).eps))


def _crests(down: NDArray[np.float64], across: NDArray[np.float64], low: float) -> Mask:
    """Pixels where the gradient is at least `low` and no shorter than on either side along its own direction."""
    length = np.hypot(down, across)
    inside = (slice(1, -1), slice(1, -1))
    steep, flat = np.abs(down[inside]), np.abs(across[inside])
    one_way = down[inside] * across[inside] >= 0
    mostly_down = steep >= flat
    share = np.divide(
        np.where(mostly_down, flat, steep),
        np.where(mostly_down, steep, flat),
        out=np.zeros_like(steep),
        where=(steep > 0) | (flat > 0),
    )

    def beside(rows: int, columns: int) -> NDArray[np.float64]:
        height, width = length.shape
        return length[1 + rows : height - 1 + rows, 1 + columns : width - 1 + columns]

    kept = np.ones_like(one_way)
    for side in (1, -1):
        # Of the two neighbours that the gradient passes between, the one straight ahead and the one at the corner.
        straight = np.where(mostly_down, beside(side, 0), beside(0, side))
        ahead = np.where(mostly_down, beside(side, side), beside(side, side))
        turned = np.where(mostly_down, beside(side, -side), beside(-side, side))
        corner = np.where(one_way, ahead, turned)
        kept &= corner * share + straight * (1 - share) <= length[inside]
    crests = np.zeros(length.shape, bool)
    crests[inside] = kept & (length[inside] >= low) & (length[inside] > 0)
    return crests
