"""Lettering that stands in no balloon: its strokes, or the block they fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box
from animegen_manga.balloons.paper import distance_from, find_paper
from animegen_manga.balloons.shape import dilate, disc, outline_points

if TYPE_CHECKING:
    from animegen.media import Image, Mask


def letter_strokes(image: Image, box: Box) -> Mask:
    """Strokes of the lettering in a text box drawn on the picture (SPEC 3.1, step 7).

    Strokes are what differs clearly from the ground in the box grown by 8 %; a component that runs far beyond the box
    is the drawing's. White letters with a black rim come out whole: the rim is closed over them.

    Args:
        image: (H, W, 3) uint8 RGB.
        box: Text box inside the image.

    Returns:
        (H, W) bool; all False where nothing in the box looks like a stroke.
    """
    height, width = image.shape[:2]
    pad = margin_of(box)
    reach = max(box.width, box.height)
    window = Box(box.x0 - reach, box.y0 - reach, box.x1 + reach, box.y1 + reach).clip(width, height)
    crop = image[window.y0 : window.y1, window.x0 : window.x1]
    inner = box.shift(-window.x0, -window.y0)
    difference = distance_from(crop, find_paper(crop, inner))
    strokes = (difference > 96).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    near = Box(inner.x0 - pad, inner.y0 - pad, inner.x1 + pad, inner.y1 + pad).clip(*crop.shape[1::-1])
    inside = np.bincount(labels[near.y0 : near.y1, near.x0 : near.x1].ravel(), minlength=count)
    longer = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    own = (inside >= 0.25 * stats[:, cv2.CC_STAT_AREA]) & (longer <= 1.2 * max(near.width, near.height))
    own[0] = False
    found = own[labels]
    found = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, disc(3)) > 0
    out = np.zeros((height, width), bool)
    out[window.y0 : window.y1, window.x0 : window.x1] = dilate(found, 2)
    return out


def letter_block(strokes: Mask, box: Box) -> Mask:
    """The text box grown by 8 %, and the hull of the strokes that begin in it: (H, W) bool.

    Safer than strokes alone where letters have rims, shadows or tone that no threshold separates.
    """
    out = np.zeros(strokes.shape, np.uint8)
    points = outline_points(strokes)
    if len(points):
        cv2.fillConvexPoly(out, cv2.convexHull(points), 1)
    pad = margin_of(box)
    out[max(0, box.y0 - pad) : box.y1 + pad, max(0, box.x0 - pad) : box.x1 + pad] = 1
    return out > 0


def margin_of(box: Box) -> int:
    """How far lettering may reach out of an annotated box, px."""
    return max(2, round(0.08 * max(box.width, box.height)))
