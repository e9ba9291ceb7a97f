"""Does the ink inside a region look like lettering? Without annotation this is all that tells text from drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box
from animegen_manga.balloons.shape import dilate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask

SMALLEST, LARGEST = 0.02, 0.75
"""Size of a letter as a share of the side of a square of its balloon's area: one measure for pages and for panels
cropped and enlarged at will, where no share of the picture (SPEC 4.2: 0.8 to 6 % of a page) says anything."""

USUAL = 0.05, 0.5
"""The same share in balloons that were drawn: from a narration of many lines to a word of joined handwriting."""

LEGIBLE = 7
"""Size below which a letter cannot be told from grain and hatching, px."""

BLACK = 150
"""How much darker than the paper full ink is; the rest of a letter is its soft edge."""


@dataclass(frozen=True, eq=False)
class Lettering:
    """Ink inside a region, taken as text.

    Attributes:
        box: Around the letters, in the region's array.
        mask: (H, W) bool, the letters.
        score: How much it looks like text, in [0, 1]: each factor is 1 over the range that lettering of comics in
            three scripts showed, and falls off softly outside.
    """

    box: Box
    mask: Mask
    score: float


def find_lettering(region: Mask, ink: Mask, darkness: NDArray[np.uint8]) -> Lettering | None:
    """The text in a filled region, or None where there is nothing like it.

    Args:
        region: (H, W) bool, filled.
        ink: (H, W) bool, the non-paper pixels inside it.
        darkness: (H, W) uint8, how much darker than the paper each pixel is.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    if count < 3:
        return None
    longer = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]).astype(float)
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    side = float(region.sum()) ** 0.5
    real = (longer >= max(3, SMALLEST * side)) & (area >= 5)
    real[0] = False
    if real.sum() < 2 or real.sum() > 400:
        return None
    # Half of the ink lies in components at least this long: strokes that broke off a letter do not count.
    order = np.argsort(longer[real])
    size = float(longer[real][order][np.searchsorted(np.cumsum(area[real][order]), area[real].sum() / 2)])
    if not SMALLEST * side <= size <= LARGEST * side:
        return None
    letter = (longer >= 0.2 * size) & (longer <= 3.5 * size) & (area >= 4)
    letter[0] = False
    mask = letter[labels]
    clusters = cv2.connectedComponents(dilate(mask, max(1, round(0.6 * size))).astype(np.uint8))[1]
    shares = np.bincount(clusters[mask], minlength=2)[1:] / max(1, mask.sum())
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    ridge = inside[(inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8))) & mask]
    one_way = _one_way(mask[y : y + h, x : x + w])
    pen = float(ridge.std() / ridge.mean())
    total = float(ink.sum())
    score = (
        min(1.0, int(letter.sum()) / 5) ** 0.75  # a lone "?" is text, but so is many an eye
        * min(1.0, float(shares.max()) / 0.6)
        * min(1.0, float(mask.sum()) / max(1.0, 0.9 * total)) ** 2
        * min(1.0, float((darkness[mask] > BLACK).mean()) / 0.38)
        * _within(float(mask.sum()) / max(1, w * h), 0.14, 0.5)
        * _within(_line_density(mask[y : y + h, x : x + w]), 0.25, 0.65)
        * _within(total / max(1, int(region.sum())), 0.035, 0.22)
        * _within(float(np.median(inside[mask])) * 2 / size, 0.03, 0.18)
        * max(0.0, min(1.0, 2 - pen / 0.42)) ** 4  # letters keep to one pen; locks, folds and faces taper
        * max(0.0, min(1.0, 2 - one_way / 0.5))
        * _within(size / side, *USUAL)
        * min(1.0, size / LEGIBLE)
    )
    return Lettering(Box(x, y, x + w, y + h), mask, float(score))


def _one_way(letters: Mask) -> float:
    """How far all strokes run one way, in [0, 1]: coherence of the structure tensor; hatching is near 1."""
    ink = letters.astype(np.float32)
    dx, dy = cv2.Sobel(ink, cv2.CV_32F, 1, 0), cv2.Sobel(ink, cv2.CV_32F, 0, 1)
    across, along, both = (float((a * b).sum()) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    return float(np.hypot(across - along, 2 * both)) / max(1.0, across + along)


def _line_density(letters: Mask) -> float:
    """Ink over the area of the lines it stands in, taken as columns or as rows, whichever is denser."""
    ink = float(letters.sum())
    best = 0.0
    for view in (letters, letters.T):
        filled = view.any(axis=0).astype(np.int8)
        starts = np.flatnonzero(np.diff(filled, prepend=0) == 1)
        ends = np.flatnonzero(np.diff(filled, append=0) == -1) + 1
        area = 0
        for start, end in zip(starts, ends, strict=True):
            along = np.flatnonzero(view[:, start:end].any(axis=1))
            area += int(end - start) * int(along[-1] - along[0] + 1)
        best = max(best, ink / max(1, area))
    return best


def _within(value: float, low: float, high: float) -> float:
    """1 inside a range, falling off in proportion outside it."""
    return min(1.0, value / low, max(0.0, 2 - value / high))
