"""Balloons without annotation: paper regions whose holes look like lettering, then the same cascade as with boxes.

After SPEC 4.2. Each candidate's letters give the text box that an annotator would have drawn; everything after that
is what `balloon_masks` does, so that a detected balloon and an annotated one have the same mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box, Region
from animegen_manga.balloons.annotated import balloon_masks

if TYPE_CHECKING:
    from animegen.media import Image


def detect_balloons(
    image: Image,
    *,
    frames: Sequence[Box] = (),
    grow: int = 0,
    outline: bool = True,
    min_score: float = 0.5,
) -> list[Region]:
    """Balloons of a page or panel, found by their look.

    Args:
        image: (H, W, 3) uint8 RGB.
        frames: Panel boxes, where they are known.
        grow: Pixels added all around each mask; negative takes pixels away.
        outline: Whether masks take the drawn outline too.
        min_score: Balloons less sure than this are left out.
    """
    boxes = text_boxes(image)
    found = balloon_masks(image, boxes, frames=frames, grow=grow, outline=outline, drawn_text="keep")
    return [Region("balloon", r.box, r.score, "detected", r.mask) for r in found if r.score >= min_score]


def text_boxes(image: Image) -> list[Box]:
    """Boxes of lettering in front of flat light paper."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    boxes: list[Box] = []
    for level in (235, 200):
        for thickness in (0, 2, 5):
            for box in _in_paper(grey > level, thickness):
                if all(box.iou(other) < 0.5 for other in boxes):
                    boxes.append(box)
    return boxes


def _in_paper(light: np.ndarray, thickness: int) -> list[Box]:
    from animegen_manga.balloons.shape import depth, fill_holes

    height, width = light.shape
    short = min(height, width)
    area = light.size
    deep = depth(light) > thickness
    n, labels, stats, _ = cv2.connectedComponentsWithStats(deep.astype(np.uint8), connectivity=4)
    out = []
    for k in range(1, n):
        x, y, w, h, a = (int(v) for v in stats[k])
        if not 0.0005 * area <= a <= 0.2 * area or min(w, h) < 0.015 * short:
            continue
        y0, x0 = max(0, y - thickness), max(0, x - thickness)
        y1, x1 = min(height, y + h + thickness), min(width, x + w + thickness)
        region = labels[y0:y1, x0:x1] == k
        if thickness:
            region = cv2.dilate(region.astype(np.uint8), np.ones((2 * thickness + 1,) * 2, np.uint8)) > 0
            region &= light[y0:y1, x0:x1]
        full = fill_holes(region)
        ink = full & ~light[y0:y1, x0:x1]
        m, _, parts, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
        letters = [p for p in parts[1:] if max(p[2], p[3]) >= 0.006 * short and p[4] >= 6]
        if len(letters) < 3:
            continue
        p = np.array(letters)
        share = p[:, 4].sum() / full.sum()
        big = np.maximum(p[:, 2], p[:, 3])
        if not 0.03 <= share <= 0.5 or np.median(big) > 0.08 * short:
            continue
        lx0, ly0 = p[:, 0].min(), p[:, 1].min()
        lx1, ly1 = (p[:, 0] + p[:, 2]).max(), (p[:, 1] + p[:, 3]).max()
        out.append(Box(int(lx0 + x0), int(ly0 + y0), int(lx1 + x0), int(ly1 + y0)))
    return out
