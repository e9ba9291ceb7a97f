"""Sharpness as cumulative probability of blur detection (CPBD).

Narvekar & Karam, "A No-Reference Image Blur Metric Based on the Cumulative Probability of Blur Detection (CPBD)",
IEEE Transactions on Image Processing 2011; edge widths after Marziliano et al., "Perceptual blur and ringing metrics",
2004. An alarm for blur, not a ranking: clean line art has about 0.99 whatever is drawn, and a cross-fade as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from animegen._cv2 import cv2
from animegen.builtin.canny import canny
from animegen.measuring import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Image, Mask
    from animegen.stages import Context

BLOCK = 64
"""Side of the blocks that a picture is looked at in, px; what is left over at right and bottom does not count."""
EDGE_SHARE = 0.002
"""Share of edge pixels above which a block has edges."""
BETA = 3.6
NOTICED = 63
"""Percent: a blur that is noticed in as many cases is one that is just noticeable."""
FARTHEST = 101
"""Pixels on each side that an edge is followed at most."""


class Cpbd:
    """CPBD of every frame, and its ratio to that of the panels.

    The share of edges whose blur would be noticed in at most 63 % of cases; grey levels are Rec. 601, rounded.
    """

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """``cpbd`` of each frame, and ``cpbd-ratio`` to the mean of the panels."""
        values = [_or_missing(sharpness(grey_levels(frame))) for frame in sample.frames]
        return {"cpbd": values, "cpbd-ratio": self._ratios(sample, values)}

    @staticmethod
    def _ratios(sample: Sample, values: list[Value]) -> list[Value] | Missing:
        if sample.panels is None:
            return Missing("there are no panels to compare with")
        of_panels = [sharpness(grey_levels(panel)) for panel in sample.panels]
        known = [value for value in of_panels if value]
        if len(known) < len(of_panels):
            return Missing("a panel has no edge to measure, or no sharp one")
        mean = sum(known) / len(known)
        return [value if isinstance(value, Missing) else value / mean for value in values]


def _or_missing(value: float | None) -> Value:
    return Missing("no block of 64 × 64 pixels has an upright edge") if value is None else value


def grey_levels(image: Image) -> NDArray[np.float64]:
    """(H, W) whole grey levels, 0 to 255, of (H, W, 3) uint8 RGB, as Pillow's mode L rounds them."""
    red, green, blue = (image[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.float64)


def sharpness(grey: NDArray[np.float64]) -> float | None:
    """CPBD of a picture, 0 to 1; None where it has no edge that could be measured.

    Args:
        grey: (H, W), 0 to 255. Contrast and edges are counted in grey levels: values in [0, 1] give nonsense.
    """
    edges, widths = canny(grey), edge_widths(grey)
    noticed: list[NDArray[np.int64]] = []
    for top in range(0, grey.shape[0] - BLOCK + 1, BLOCK):
        for left in range(0, grey.shape[1] - BLOCK + 1, BLOCK):
            block = (slice(top, top + BLOCK), slice(left, left + BLOCK))
            if edges[block].sum() <= EDGE_SHARE * BLOCK**2:
                continue
            here = widths[block][widths[block] > 0]
            just_noticeable = 5 if np.ptp(grey[block]) <= 50 else 3
            chance = 1 - np.exp(-((here / just_noticeable) ** BETA))
            noticed.append(np.rint(100 * chance).astype(np.int64))
    together = np.concatenate(noticed) if noticed else np.empty(0, np.int64)
    return float((together <= NOTICED).mean()) if together.size else None


def edge_widths(grey: NDArray[np.float64]) -> NDArray[np.int64]:
    """Width along its row of every upright edge, px, (H, W); 0 elsewhere.

    From the edge both ways as long as the picture goes on falling, respectively rising.
    """
    height, width = grey.shape
    widths = np.zeros((height, width), np.int64)
    if height < 3 or width < 3:
        return widths
    down, across = (np.asarray(slope) for slope in np.gradient(grey))
    if not ((across < 0) | ((across > 0) & (down != 0))).any():  # as published: all of it rises to the right
        return widths
    at = upright_edges(grey)
    at[[0, -1]] = at[:, [0, -1]] = False
    rows, columns = np.nonzero(at)
    down, across = down[rows, columns], across[rows, columns]
    turns = np.rint(np.degrees(np.arctan2(down, across)) / 45).astype(int)
    turns[across == 0] = 0  # as published: what goes straight down has no angle
    up, down_hill = turns == 0, np.abs(turns) == 4
    rising, falling = _runs(grey[:, :-1] < grey[:, 1:]), _runs(grey[:, :-1] > grey[:, 1:])
    for chosen, runs in ((up, rising), (down_hill, falling)):
        row, column = rows[chosen], columns[chosen]
        before, after = runs
        left = np.minimum(before[row, column - 1], FARTHEST - 1) + 1
        right = np.minimum(after[row, column + 1], FARTHEST - 1) + 1
        widths[row, column] = left + right
    return widths


def _runs(steps: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each pixel how many of `steps` hold in a row, (H, W - 1), right before it and right after it."""
    height, count = steps.shape
    place = np.arange(count, dtype=np.int32)
    before, after = np.zeros((2, height, count + 1), np.int32)
    last_false = np.maximum.accumulate(np.where(steps, np.int32(-1), place), axis=1)
    np.subtract(place, last_false, out=before[:, 1:])
    next_false = np.minimum.accumulate(np.where(steps, np.int32(count), place)[:, ::-1], axis=1)[:, ::-1]
    np.subtract(next_false, place, out=after[:, :-1])
    return before, after


def upright_edges(grey: NDArray[np.float64]) -> Mask:
    """Pixels on an edge by Sobel's operator along rows, thinned to its crests; (H, W)."""
    slope = cv2.sepFilter2D(grey, -1, np.array([-1.0, 0, 1]), np.array([1.0, 2, 1]) / 8, borderType=cv2.BORDER_REFLECT)
    strength = slope * slope
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    around = cv2.copyMakeBorder(strength, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    middle = around[1:-1, 1:-1]
    along_row = (middle > around[1:-1, :-2]) & (middle > around[1:-1, 2:])
    along_column = (middle > around[:-2, 1:-1]) & (middle > around[2:, 1:-1])
    return np.asarray(along_row | along_column)
