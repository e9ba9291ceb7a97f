"""Balloons without annotation: paper regions whose holes look like lettering (SPEC 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box, Region
from animegen_manga.balloons.candidates import Candidate
from animegen_manga.balloons.finish import outline_width, region_of
from animegen_manga.balloons.lettering import find_lettering
from animegen_manga.balloons.rim import weigh
from animegen_manga.balloons.shape import depth, dilate, fill_holes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

LEVELS = (235, 205, 175)
"""Paper is lighter than this in every channel: clean print, scan, yellowed scan or light tone."""

THICKNESSES = (0, 1, 2, 3, 5, 8, 12)
"""How far the barrier is thickened, px, to close gaps of the outline."""

AREAS = (0.0004, 0.25)
"""Area of a balloon as a share of the picture."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """A candidate balloon in a window of the picture."""

    mask: Mask
    window: Box
    score: float
    outline: int


def detect_balloons(
    image: Image,
    *,
    frames: Sequence[Box] = (),
    grow: int = 0,
    outline: bool = True,
    min_score: float = 0.5,
) -> list[Region]:
    """Balloons of a page or panel, found by their look: light paper, a drawn rim, lettering inside.

    Args:
        image: (H, W, 3) uint8 RGB.
        frames: Panel boxes, where they are known: they wall a balloon that is open to the gutter.
        grow: Pixels added all around each mask; negative takes pixels away.
        outline: Whether masks take the drawn outline too.
        min_score: Balloons less sure than this are left out.

    Returns:
        Regions with method ``detected``, surest first, none overlapping another by more than 30 % of the smaller.
    """
    lightness = image.min(axis=2)
    height, width = lightness.shape
    views = [None, *([_inside(frames, height, width)] if frames else [])]
    seen = sorted(
        (s for allowed in views for s in _sightings(lightness, allowed) if s.score >= min_score),
        key=lambda s: -s.score,
    )
    taken = np.zeros((height, width), bool)
    regions = []
    for one in seen:
        w = one.window
        view = taken[w.y0 : w.y1, w.x0 : w.x1]
        if (view & one.mask).sum() > 0.3 * one.mask.sum():
            continue
        view |= one.mask
        whole = np.zeros((height, width), bool)
        whole[w.y0 : w.y1, w.x0 : w.x1] = one.mask
        extra = grow + (one.outline if outline else 0)
        regions.append(region_of(whole, one.score, "detected", grow=extra))
    return regions


def _inside(frames: Sequence[Box], height: int, width: int) -> Mask:
    mask = np.zeros((height, width), bool)
    for frame in frames:
        part = Box(*frame).clip(width, height)
        mask[part.y0 : part.y1, part.x0 : part.x1] = True
    return mask


def _sightings(lightness: NDArray[np.uint8], allowed: Mask | None) -> Iterator[Sighting]:
    height, width = lightness.shape
    short = min(height, width)
    for level in LEVELS:
        free = lightness > level
        if allowed is not None:
            free &= allowed
        for letters_free in (False, True):
            room = free | _letter_sized(~free, short) if letters_free else free
            deep = depth(room)
            for thickness in THICKNESSES:
                if letters_free == (thickness < 2):
                    continue
                for window, core in _components(deep > thickness, thickness, short):
                    found = _judge(lightness, free, room, level, window, core, thickness, short)
                    if found is not None:
                        yield found


def _letter_sized(ink: Mask, short: int) -> Mask:
    """Ink components of a letter's size: when the barrier is thickened they must not wall a balloon's text in."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    longer = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    letter = (longer >= 0.008 * short) & (longer <= 0.06 * short)
    letter[0] = False
    return letter[labels]


def _components(core: Mask, thickness: int, short: int) -> Iterator[tuple[Box, Mask]]:
    height, width = core.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core.astype(np.uint8), connectivity=4)
    for k in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[k])
        if area > AREAS[1] * core.size or w * h < AREAS[0] * core.size or min(w, h) < 0.01 * short:
            continue
        pad = thickness + 12
        window = Box(x - pad, y - pad, x + w + pad, y + h + pad).clip(width, height)
        yield window, labels[window.y0 : window.y1, window.x0 : window.x1] == k


def _judge(
    lightness: NDArray[np.uint8],
    free: Mask,
    room: Mask,
    level: int,
    window: Box,
    core: Mask,
    thickness: int,
    short: int,
) -> Sighting | None:
    view = slice(window.y0, window.y1), slice(window.x0, window.x1)
    mask = core
    if thickness:
        mask = dilate(core, thickness + 1) & room[view]
    mask = fill_holes(mask)
    if not AREAS[0] * lightness.size <= mask.sum() <= AREAS[1] * lightness.size:
        return None
    ink = mask & ~free[view]
    if not ink.any():
        return None
    paper = int(np.median(lightness[view][mask & free[view]]))
    difference = np.clip(paper - lightness[view].astype(np.int16), 0, 255).astype(np.uint8)
    text = find_lettering(mask, ink, difference, short)
    if text is None or text.score < 0.2:
        return None
    letters = text.mask
    candidate = Candidate(mask, ~free[view] & ~letters, letters, 255 - level, thickness)
    height, width = lightness.shape
    nowhere = np.zeros_like(mask)
    # The window is the region's own, so only the picture's edge counts as an edge.
    whole = np.ones((mask.shape[0] + 4, mask.shape[1] + 4), bool)
    inside = whole[2:-2, 2:-2].copy()
    if window.y0 == 0:
        inside[0] = False
    if window.x0 == 0:
        inside[:, 0] = False
    if window.y1 == height:
        inside[-1] = False
    if window.x1 == width:
        inside[:, -1] = False
    evidence = weigh(candidate, difference, text.box, inside, nowhere, letters)
    if evidence is None:
        return None
    score = evidence.score * text.score * 0.99**thickness
    outline = outline_width(mask, difference) if score >= 0.1 else 2
    return Sighting(mask, window, score, outline)
