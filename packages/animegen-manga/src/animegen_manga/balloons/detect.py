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
from animegen_manga.balloons.lettering import LARGEST, SMALLEST, find_lettering
from animegen_manga.balloons.rim import weigh
from animegen_manga.balloons.scale import enlarge, scale_boxes, shrink, working_scale
from animegen_manga.balloons.shape import depth, dilate, fill_holes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

LEVELS = (235, 190)
"""Paper is lighter than this in every channel: clean print, or a yellowed scan."""

THICKNESSES = (0, 1, 2, 4, 8, 12)
"""How far the barrier is thickened, px, to close gaps of the outline."""

SURE = 0.9
"""Score from which a balloon is not looked for again at other levels and thicknesses."""

AREAS = (0.0004, 0.5)
"""Area of a balloon as a share of the picture: of a page, or of a panel that it fills by half."""

OPENED = (0.008, 0.06)
"""Size of ink, as a share of the picture's short side, that does not wall a thickened flood in."""

OCTAVES = tuple(range(2, 10))
"""Ink is counted by size: 4 to 8 px, 8 to 16 px, ..., 512 px and more."""


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
    scale = working_scale(image)
    if scale < 1:
        small = detect_balloons(
            shrink(image, scale),
            frames=scale_boxes(frames, scale),
            grow=round(grow * scale),
            outline=outline,
            min_score=min_score,
        )
        return [enlarge(region, scale, image.shape[1], image.shape[0]) for region in small]
    lightness = image.min(axis=2)
    height, width = lightness.shape
    views = [None, *([_inside(frames, height, width)] if frames else [])]
    seen = sorted(
        (s for allowed in views for s in _sightings(lightness, allowed, min_score) if s.score >= min_score),
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


def _sightings(lightness: NDArray[np.uint8], allowed: Mask | None, min_score: float) -> Iterator[Sighting]:
    height, width = lightness.shape
    short = min(height, width)
    settled = np.zeros((height, width), bool)
    for level in LEVELS:
        free = lightness > level
        if allowed is not None:
            free &= allowed
        letters, counts = _letter_sized(~free, short)
        for thickness in THICKNESSES:
            # Thickened letters would wall themselves in; a barrier of its own thickness does not need their help.
            room = free | letters if thickness >= 2 else free
            core = depth(room) > thickness
            for window, component in _components(core, thickness, short, settled, counts):
                found = _judge(lightness, free, room, level, window, component, thickness, min_score)
                if found is None:
                    continue
                yield found
                if found.score >= SURE:
                    settled[window.y0 : window.y1, window.x0 : window.x1] |= found.mask


def _letter_sized(ink: Mask, short: int) -> tuple[Mask, list[NDArray[np.int32]]]:
    """Ink components that may be letters, and how many of each octave begin above and left of each pixel."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    stats[0] = 0
    longer = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    octave = np.minimum(np.log2(np.maximum(longer, 1)).astype(int), OCTAVES[-1])
    counts = []
    for k in OCTAVES:
        corners = np.zeros(ink.shape, np.uint8)
        corners[stats[octave == k, cv2.CC_STAT_TOP], stats[octave == k, cv2.CC_STAT_LEFT]] = 1
        counts.append(np.asarray(cv2.integral(corners), np.int32))
    opened = (longer >= OPENED[0] * short) & (longer <= OPENED[1] * short)
    opened[0] = False
    return opened[labels], counts


def _components(
    core: Mask, thickness: int, short: int, settled: Mask, counts: list[NDArray[np.int32]]
) -> Iterator[tuple[Box, Mask]]:
    """Components of a balloon's size that hold ink of a letter's size and are not part of a sure balloon."""
    height, width = core.shape
    _, labels, stats, _ = cv2.connectedComponentsWithStats(core.astype(np.uint8), connectivity=4)
    stats[0] = 0  # the background's box is not a number where there is no background
    x, y, w, h, area = (stats[:, k] for k in range(5))
    side = np.sqrt(w.astype(float) * h)
    letters = np.zeros(len(stats), int)
    for octave, table in zip(OCTAVES, counts, strict=True):
        fits = (2.0 ** (octave + 1) > SMALLEST * side) & (2.0**octave <= LARGEST * side)
        letters += fits * (table[y + h, x + w] - table[y, x + w] - table[y + h, x] + table[y, x])
    known = np.bincount(labels[settled], minlength=len(stats))
    wanted = (
        (area <= AREAS[1] * core.size)
        & (w * h >= AREAS[0] * core.size)
        & (np.minimum(w, h) >= 0.01 * short)
        & (letters >= 2)
        & (known < 0.5 * area)
    )
    wanted[0] = False
    pad = thickness + 12
    for k in np.flatnonzero(wanted):
        window = Box(int(x[k]) - pad, int(y[k]) - pad, int(x[k] + w[k]) + pad, int(y[k] + h[k]) + pad).clip(
            width, height
        )
        yield window, labels[window.y0 : window.y1, window.x0 : window.x1] == k


def _judge(
    lightness: NDArray[np.uint8],
    free: Mask,
    room: Mask,
    level: int,
    window: Box,
    core: Mask,
    thickness: int,
    min_score: float,
) -> Sighting | None:
    view = slice(window.y0, window.y1), slice(window.x0, window.x1)
    mask = core
    if thickness:
        mask = dilate(core, thickness + 1) & room[view]
    mask = fill_holes(mask)
    if not AREAS[0] * lightness.size <= mask.sum() <= AREAS[1] * lightness.size:
        return None
    ink = mask & ~free[view]
    area, inked = int(mask.sum()), int(ink.sum())
    _, _, w, h = cv2.boundingRect(mask.astype(np.uint8))
    # Cheap objections first: hardly any ink, mostly ink, or a shape that leaves most of its own box empty.
    if not 0.01 * area <= inked <= 0.4 * area or area < 0.35 * w * h:
        return None
    paper = int(np.median(lightness[view][mask & free[view]]))
    difference = np.clip(paper - lightness[view].astype(np.int16), 0, 255).astype(np.uint8)
    text = find_lettering(mask, ink, difference)
    if text is None or text.score < min_score:  # the product below can only be smaller
        return None
    letters = text.mask
    candidate = Candidate(mask, ~free[view] & ~letters, letters, 255 - level, thickness)
    height, width = lightness.shape
    nowhere = np.zeros_like(mask)
    # The window was made for the region, so only the picture's edge counts as an edge.
    inside = np.ones_like(mask)
    inside[0] &= window.y0 > 0
    inside[:, 0] &= window.x0 > 0
    inside[-1] &= window.y1 < height
    inside[:, -1] &= window.x1 < width
    evidence = weigh(candidate, difference, text.box, inside, nowhere, letters)
    if evidence is None:
        return None
    score = evidence.score * text.score * 0.99**thickness
    outline = outline_width(mask, difference) if score >= 0.1 else 2
    return Sighting(mask, window, score, outline)
