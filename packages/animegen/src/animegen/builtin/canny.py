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

_BAND = 32
"""Rows that are thinned at once: few enough for what lies between to stay near the processor."""
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
    length = np.hypot(down, across)
    crests = _crests(down, across, length, low)
    count, labels = cv2.connectedComponents(crests.astype(np.uint8), connectivity=8)
    strong = np.zeros(count, bool)
    strong[labels[crests & (length >= high)]] = True
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


def _crests(down: NDArray[np.float64], across: NDArray[np.float64], length: NDArray[np.float64], low: float) -> Mask:
    """Pixels where the gradient is at least `low` and no shorter than on either side along its own direction."""
    crests = np.zeros(length.shape, bool)
    for top in range(1, length.shape[0] - 1, _BAND):
        bottom = min(top + _BAND, length.shape[0] - 1)
        around = slice(top - 1, bottom + 1)
        crests[top:bottom, 1:-1] = _thinned(down[top:bottom, 1:-1], across[top:bottom, 1:-1], length[around], low)
    return crests


def _thinned(down: NDArray[np.float64], across: NDArray[np.float64], length: NDArray[np.float64], low: float) -> Mask:
    """`_crests` of some rows; `length` has a row and a column more on each side."""
    own = length[1:-1, 1:-1]
    steep, flat = np.abs(down), np.abs(across)
    mostly_down = steep >= flat
    longer = np.maximum(steep, flat)
    share = np.divide(np.minimum(steep, flat), longer, out=np.zeros_like(longer), where=longer > 0)
    one_way = down * across >= 0

    def beside(rows: int, columns: int) -> NDArray[np.float64]:
        height, width = length.shape
        return length[1 + rows : height - 1 + rows, 1 + columns : width - 1 + columns]

    kept = (own >= low) & (own > 0)
    for side in (1, -1):
        # Of the two neighbours that the gradient passes between, the one straight ahead and the one at the corner.
        straight = np.where(mostly_down, beside(side, 0), beside(0, side))
        turned = np.where(mostly_down, beside(side, -side), beside(-side, side))
        corner = np.where(one_way, beside(side, side), turned)
        kept &= corner * share + straight * (1 - share) <= own
    return kept
