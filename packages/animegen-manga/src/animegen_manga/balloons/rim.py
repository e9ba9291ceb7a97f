"""What speaks for a region being the balloon of a text: the rim test, and the shape of what it bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen_manga.balloons.shape import body, dilate, likeness, outline_points, solidity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Box, Mask
    from animegen_manga.balloons.candidates import Candidate

FLAT = 20
"""Difference from the paper that JPEG and scanning leave on flat paper."""

MOST = 25
"""Times the text's area beyond which no balloon reaches (its score would be nothing)."""


@dataclass(frozen=True)
class Evidence:
    """Measures of one region, each in [0, 1] unless said otherwise.

    Attributes:
        rim: Share of the contour, less what lies on the picture's or frame's edge, along a long drawn thing.
        edge: Share of the contour on the edge of the picture or frame.
        cover: Share of the lettering covered.
        solid: Area over convex hull of the body (the region without tail and spikes).
        like: IoU of the body with the ellipse or the rectangle fitted to it, whichever is better.
        ratio: Area over area of the text box (no upper bound).
        offset: Distance of the body's middle from the text's, in half-sizes of the body (no upper bound).
        ink: Share of non-paper inside the region and outside the text.
        trunk: Share of the region that is its body.
        leak: Share of the contour on the edge of the search window inside the picture.
        flat: Share of the paper inside that has the paper's colour: drawings are shaded, balloons are not.
    """

    rim: float
    edge: float
    cover: float
    solid: float
    like: float
    ratio: float
    offset: float
    ink: float
    trunk: float
    leak: float
    flat: float

    @property
    def score(self) -> float:
        """How sure it is a balloon, in [0, 1]: a product, because one strong objection is enough.

        Every factor is 1 over the whole range that drawn balloons showed and falls off softly outside it: hull
        filled to 92 %, ellipse or rectangle matched to 85 %, 95 % of the rim drawn, three quarters of the area in
        the body. A region much larger than its text has to be the more regular (SPEC 3.2: a closed shape of the
        drawing is large and irregular): 3 times the text for any shape, up to 7 times for a clean ellipse or box.
        """
        if self.ratio <= 0:
            return 0.0
        regular = min(1.0, max(0.0, (self.like - 0.85) / 0.1))
        return float(
            _bell(max(0.0, math.log(self.ratio / (3 + 4 * regular))), 0.35)
            * min(1.0, self.cover / 0.9) ** 2
            * min(1.0, self.solid / 0.92) ** 3
            * min(1.0, self.like / 0.85) ** 2
            * _bell(max(0.0, self.offset - 0.3), 0.35)
            * min(1.0, self.rim / 0.95) ** 1.5
            * (1 - 0.4 * self.edge)
            * _bell(max(0.0, self.ink - 0.02), 0.08)
            * min(1.0, self.trunk / 0.75) ** 2
            * _bell(self.leak, 0.03)
            * min(1.0, self.flat / 0.95) ** 4
        )


def _bell(x: float, width: float) -> float:
    return math.exp(-0.5 * (x / width) ** 2)


def weigh(
    candidate: Candidate, difference: NDArray[np.uint8], box: Box, allowed: Mask, open_edge: Mask, texts: Mask
) -> Evidence | None:
    """Evidence for a candidate; None where it is empty or hopelessly large.

    Args:
        candidate: The region and what stopped it.
        difference: (H, W) uint8, difference from the paper.
        box: The text box.
        allowed: (H, W) bool, the inside of the frames.
        open_edge: (H, W) bool, the window's edge where the picture goes on.
        texts: (H, W) bool, all text boxes: ink there is lettering, not drawing.
    """
    if not 0 < candidate.mask.sum() <= MOST * box.area:
        return None
    line = outline_points(candidate.mask)
    # Everything below happens in the region's own box: windows are several times larger.
    x, y, w, h = cv2.boundingRect(line)
    pad = candidate.thickness + 4
    height, width = candidate.mask.shape
    top, left = max(0, y - pad), max(0, x - pad)
    view = slice(top, min(height, y + h + pad)), slice(left, min(width, x + w + pad))
    mask, barrier, texts = candidate.mask[view], candidate.barrier[view], texts[view]
    line = line - (left, top)
    leak = float(open_edge[view][line[:, 1], line[:, 0]].mean())
    on_edge = _near_edge(allowed)[view][line[:, 1], line[:, 0]]
    # Dots and dashes count as one line when the thickening joins them, but only where they are.
    joined = long_parts(dilate(barrier, candidate.thickness // 2), 0.35 * max(w, h))
    near = dilate(joined & barrier, 3)
    supported = near[line[:, 1], line[:, 0]] & ~on_edge
    trunk = body(mask)
    tx, ty, tw, th = cv2.boundingRect(trunk.astype(np.uint8))
    if not tw:
        return None
    dx = abs((left + tx + tw / 2) - (box.x0 + box.x1) / 2) / (tw / 2)
    dy = abs((top + ty + th / 2) - (box.y0 + box.y1) / 2) / (th / 2)
    blank = mask & ~texts
    paper = blank & ~barrier & (difference[view] <= candidate.tolerance)
    return Evidence(
        rim=float(supported.sum() / max(1, (~on_edge).sum())),
        edge=float(on_edge.mean()),
        cover=_lettering_covered(candidate, box),
        solid=solidity(trunk),
        like=likeness(trunk),
        ratio=float(mask.sum()) / max(1, box.area),
        offset=float(max(dx, dy)),
        ink=float((barrier & blank).sum() / max(1, blank.sum())),
        trunk=float(trunk.sum() / max(1, mask.sum())),
        leak=leak,
        flat=float((difference[view][paper] <= FLAT).mean()) if paper.any() else 1.0,
    )


def _near_edge(allowed: Mask) -> Mask:
    inner = cv2.erode(
        allowed.astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(inner == 0, bool)


def _lettering_covered(candidate: Candidate, box: Box) -> float:
    view = slice(box.y0, box.y1), slice(box.x0, box.x1)
    letters = candidate.letters[view]
    count = int(letters.sum())
    inside = candidate.mask[view]
    return float((letters & inside).sum() / count) if count else float(inside.mean())


def long_parts(barrier: Mask, length: float) -> Mask:
    """Components of `barrier` whose longer side is at least `length` px: outlines, not tone dots or letters."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(barrier.astype(np.uint8), connectivity=8)
    keep = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= length
    keep[0] = False
    return np.asarray(keep[labels], bool)
