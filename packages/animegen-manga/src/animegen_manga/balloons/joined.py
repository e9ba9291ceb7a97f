"""Regions that several texts gave: one balloon with two texts, or joined balloons with a text each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box
from animegen_manga.balloons.candidates import seeded
from animegen_manga.balloons.shape import depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask

SAME = 0.6
"""Common share of the smaller region from which two texts gave the same region."""

NECK = 0.6
"""Width of a neck, as a share of the narrower lobe's width, below which it separates two balloons."""


@dataclass(frozen=True, eq=False)
class Found:
    """A region of the picture before its outline is added.

    Attributes:
        mask: (H, W) bool of the whole picture.
        texts: Boxes of its lettering.
        score: How sure it is, in [0, 1].
        method: How it was found.
        outline: Width of the drawn line around it, px.
        within: (H, W) bool, the frames it must stay in; None where they do not bound it.
    """

    mask: Mask
    texts: tuple[Box, ...]
    score: float
    method: str
    outline: int
    within: Mask | None = None


def resolve_shared(found: Sequence[Found]) -> list[Found]:
    """Merge regions that are one balloon and part those that are joined by a neck, so that none overlaps much."""
    out: list[Found] = []
    for region in found:
        for k, other in enumerate(out):
            common = int((region.mask & other.mask).sum())
            if not common:
                continue
            if common >= SAME * min(int(region.mask.sum()), int(other.mask.sum())):
                union = region.mask | other.mask
                lobes = part(union, other.texts, region.texts)
                if lobes is None:
                    best = max(region, other, key=lambda r: r.score)
                    out[k] = replace(best, mask=union, texts=other.texts + region.texts)
                    break
            else:
                lobes = _by_nearest_text(other, region)
            out[k] = replace(other, mask=lobes[0])
            region = replace(region, mask=lobes[1])
        else:
            out.append(region)
    return out


def _by_nearest_text(first: Found, second: Found) -> tuple[Mask, Mask]:
    """Give the pixels that two regions share to the one whose lettering is nearer."""
    height, width = first.mask.shape
    x, y, w, h = cv2.boundingRect((first.mask & second.mask).astype(np.uint8))
    view = Box(x, y, x + w, y + h)
    to = [_distance(_around(found.texts), view) for found in (first, second)]
    nearer = np.zeros((height, width), bool)
    nearer[y : y + h, x : x + w] = to[0] <= to[1]
    shared = first.mask & second.mask
    return first.mask & ~(shared & ~nearer), second.mask & ~(shared & nearer)


def _distance(box: Box, view: Box) -> NDArray[np.float64]:
    """Distance of each pixel of `view` to a box, px."""
    y, x = np.ogrid[view.y0 : view.y1, view.x0 : view.x1]
    dx = np.maximum(np.maximum(box.x0 - x, x - box.x1 + 1), 0)
    dy = np.maximum(np.maximum(box.y0 - y, y - box.y1 + 1), 0)
    out: NDArray[np.float64] = np.hypot(dx, dy)
    return out


def part(mask: Mask, first: Sequence[Box], second: Sequence[Box]) -> tuple[Mask, Mask] | None:
    """Cut a region in two at the neck between two groups of texts; None where there is no neck.

    Args:
        mask: (H, W) bool.
        first, second: Text boxes of the two lobes.
    """
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    crop = np.pad(mask[y : y + h, x : x + w], 1)
    deep = depth(crop)
    a, b = (_around(group).shift(1 - x, 1 - y).clip(w + 2, h + 2) for group in (first, second))
    if not a.area or not b.area:
        return None
    for neck in range(1, int(deep.max())):
        core_a, core_b = (seeded(deep > neck, box) for box in (a, b))
        if core_a is None or core_b is None:
            return None
        if (core_a & core_b).any():
            continue
        if neck > NECK * min(deep[core_a].max(), deep[core_b].max()):
            return None
        to_a, to_b = (cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5) for core in (core_a, core_b))
        nearer = to_a <= to_b
        lobes = []
        for part_mask in (crop & nearer, crop & ~nearer):
            whole = np.zeros_like(mask)
            whole[y : y + h, x : x + w] = part_mask[1:-1, 1:-1]
            lobes.append(whole)
        return lobes[0], lobes[1]
    return None


def _around(boxes: Sequence[Box]) -> Box:
    return Box(min(b.x0 for b in boxes), min(b.y0 for b in boxes), max(b.x1 for b in boxes), max(b.y1 for b in boxes))
