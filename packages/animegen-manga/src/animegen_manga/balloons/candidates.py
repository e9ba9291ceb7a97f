"""Candidate regions for one text box: white flooded from the text at several tolerances and barrier thicknesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box
from animegen_manga.balloons.paper import letters_inside
from animegen_manga.balloons.shape import depth, dilate, fill_holes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from animegen.media import Mask

TOLERANCES = (28, 64, 110)
"""Difference from the paper that still counts as paper: JPEG noise and scan yellowing, soft shading, light tone."""

THICKNESSES = (0, 1, 2, 3, 5, 8, 12, 17)
"""How far the barrier is thickened, px: each closes gaps of the outline up to twice as wide (SPEC 3.1, step 6)."""

TONED = 0.02
"""Share of specks around a text from which its ground counts as toned."""

FINGER = 0.1
"""Largest piece, as a share of the region, that is taken back after thickening."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to see a balloon.

    Attributes:
        mask: Filled region in the window, (H, W) bool.
        barrier: What stopped it: non-paper pixels without the letters, (H, W) bool.
        letters: Non-paper components that are the text's own, (H, W) bool.
        tolerance: Difference from the paper allowed.
        thickness: Barrier thickening, px.
    """

    mask: Mask
    barrier: Mask
    letters: Mask
    tolerance: int
    thickness: int


def flood_candidates(
    difference: NDArray[np.uint8], box: Box, allowed: Mask, *, through_tone: bool = False
) -> Iterator[Candidate]:
    """Regions grown from a text box over paper.

    Thickening the barrier by r and growing the result back is read off one distance transform: the seed's component
    of "deeper than r", dilated by r within the paper.

    Args:
        difference: (H, W) uint8, difference from the paper.
        box: Text box in the window.
        allowed: (H, W) bool, where a balloon may be (inside the frames).
        through_tone: Whether dots and specks too small to be letters let the flood pass: toned balloons.
    """
    limit = min(box.width, box.height) / 2
    for tolerance in TOLERANCES:
        solid = difference > tolerance
        letters = letters_inside(solid, box)
        barrier = solid & ~letters
        if through_tone:
            specks = barrier
            barrier = without_specks(barrier, max(4.0, 0.08 * min(box.width, box.height)))
            if (specks & ~barrier)[_around(box, barrier.shape)].mean() < TONED:
                continue
        free = ~barrier & allowed
        deep = depth(free)
        everything: Mask | None = None
        before = -1
        for thickness in THICKNESSES:
            if thickness and thickness >= max(3.0, limit):
                break
            core = seeded(deep > thickness, box)
            if core is None:
                break
            if everything is None:
                everything = core
            if thickness:
                core = with_fingers(dilate(core, thickness + 1) & free, everything)
            if before == (before := int(core.sum())):
                continue  # nothing was closed by this thickness
            yield Candidate(fill_holes(core) & allowed, barrier, letters, tolerance, thickness)


def _around(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    pad = min(box.width, box.height) // 2
    grown = Box(box.x0 - pad, box.y0 - pad, box.x1 + pad, box.y1 + pad).clip(shape[1], shape[0])
    return slice(grown.y0, grown.y1), slice(grown.x0, grown.x1)


def with_fingers(region: Mask, everything: Mask) -> Mask:
    """A thickened region with the tail, spikes and corners that thickening cut off, and without what leaked.

    Args:
        region: (H, W) bool.
        everything: (H, W) bool, the same flood without thickening; what it has beyond `region` falls into pieces,
    and a piece of at most a tenth of the region, not cut off by the window, is the balloon's own.
    """
    rest = everything & ~region
    _, labels, stats, _ = cv2.connectedComponentsWithStats(rest.astype(np.uint8), connectivity=4)
    own = stats[:, cv2.CC_STAT_AREA] <= FINGER * region.sum()
    own[0] = False
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        own[edge] = False
    return np.asarray(region | own[labels], bool)


def without_specks(barrier: Mask, size: float) -> Mask:
    """`barrier` without its components of at most `size` px: tone dots, dust, scan noise."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(barrier.astype(np.uint8), connectivity=4)
    keep = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > size
    keep[0] = False
    return np.asarray(keep[labels], bool)


def seeded(free: Mask, box: Box) -> Mask | None:
    """The 4-connected component of `free` that holds most of `box`, or None where the box is all barrier."""
    _, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
    inside = np.bincount(labels[box.y0 : box.y1, box.x0 : box.x1].ravel())
    inside[0] = 0
    best = int(inside.argmax())
    return labels == best if inside[best] > 0 else None
