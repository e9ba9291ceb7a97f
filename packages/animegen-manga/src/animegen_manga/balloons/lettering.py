"""Does the ink inside a region look like lettering? Without annotation this is all that tells text from drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box
from animegen_manga.balloons.shape import dilate

if TYPE_CHECKING:
    from animegen.media import Mask

SMALLEST, LARGEST = 0.006, 0.09
"""Size of a letter as a share of the page's short side (SPEC 4.2: 0.8 to 6 %, and a bold shout beyond)."""


@dataclass(frozen=True, eq=False)
class Lettering:
    """Ink inside a region, taken as text.

    Attributes:
        box: Around the letters, in the region's array.
        mask: (H, W) bool, the letters.
        score: How much it looks like text, in [0, 1].
    """

    box: Box
    mask: Mask
    score: float


def find_lettering(region: Mask, ink: Mask, short: int) -> Lettering | None:
    """The text in a filled region, or None where there is nothing like it.

    Args:
        region: (H, W) bool, filled.
        ink: (H, W) bool, the non-paper pixels inside it.
        short: Short side of the page, px.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    if count < 3:
        return None
    longer = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]).astype(float)
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    real = (longer >= max(3, SMALLEST * short)) & (area >= 5)
    real[0] = False
    if real.sum() < 2 or real.sum() > 400:
        return None
    # Half of the ink lies in components at least this long: strokes that broke off a letter do not count.
    order = np.argsort(longer[real])
    size = float(longer[real][order][np.searchsorted(np.cumsum(area[real][order]), area[real].sum() / 2)])
    if not SMALLEST * short <= size <= LARGEST * short:
        return None
    letter = (longer >= 0.2 * size) & (longer <= 3.5 * size) & (area >= 4)
    letter[0] = False
    mask = letter[labels]
    clusters = cv2.connectedComponents(dilate(mask, max(1, round(0.6 * size))).astype(np.uint8))[1]
    shares = np.bincount(clusters[mask], minlength=2)[1:] / max(1, mask.sum())
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    total = float(ink.sum())
    inked = float(mask.sum()) / max(1, w * h)
    coverage = total / max(1, int(region.sum()))
    stroke = float(np.median(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)[mask])) * 2
    score = (
        min(1.0, shares.max() / 0.6)
        * min(1.0, float(mask.sum()) / max(1.0, 0.85 * total)) ** 2
        * _within(inked, 0.12, 0.6)
        * _within(coverage, 0.03, 0.45)
        * _within(stroke / size, 0.03, 0.3)
        * min(1.0, int(letter.sum()) / 4) ** 0.5
    )
    return Lettering(Box(x, y, x + w, y + h), mask, float(score))


def _within(value: float, low: float, high: float) -> float:
    """1 inside a range, falling off in proportion outside it."""
    return min(1.0, value / low, max(0.0, 2 - value / high))
