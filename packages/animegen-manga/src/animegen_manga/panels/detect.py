"""Panels of a page without annotation: straight gutters and frame lines, slanted ones and bleeds included.

Classical, no weights, after the reference's four attempts in one: a gutter is paper between two straight
edges with opposite signs; a page is cut along the best of them over and over (X-Y cuts with any slant up to 20
degrees); parts that no straight cut reaches are told by flooding the paper around them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from animegen._cv2 import cv2
from animegen.media import Box, Region
from animegen_manga.order import SPREAD, reading_order
from animegen_manga.panels.cell import Cell
from animegen_manga.panels.edges import Ruler
from animegen_manga.panels.evidence import PAPER, evidence, likeness
from animegen_manga.panels.split import Splitter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image
    from animegen_manga.annotation import Direction

    Background = Literal["auto", "white", "black"]

WORK_SIDE = 640
"""Short side of the page that is worked on (of one of the two on a double page); larger ones are made smaller."""
WORK_PIXELS = 2_400_000
"""Largest picture that is worked on: a tall strip is made smaller for it."""
AT_PAGE_EDGE = 0.5
"""Confidence in a side of a panel that runs off the page."""


def detect_panels(
    image: Image,
    text_boxes: Sequence[Box] = (),
    *,
    direction: Direction = "rtl",
    background: Background = "auto",
    threshold: float = 0.6,
) -> list[Region]:
    """Panels of a page, in reading order.

    Args:
        image: (H, W, 3) uint8 RGB.
        text_boxes: Boxes of lettering, which then do not count as ink in a gutter.
        direction: Reading direction.
        background: Colour of the gutters; ``auto`` looks at the border of the page.
        threshold: How sure a cut must be, 0 .. 1; larger finds fewer panels.

    Returns:
        One region of kind ``panel`` for each, with box, polygon and a score in [0, 1]: how well its four
        sides are supported. The whole page where no panel is found.
    """
    height, width = image.shape[:2]
    scale = min(1.0, WORK_SIDE / _short_side(width, height), (WORK_PIXELS / (height * width)) ** 0.5)
    small = image
    if scale < 1:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    boxes = [Box(*(round(v * scale) for v in box)) for box in text_boxes]
    best: list[Cell] = []
    for colour in _backgrounds(small, background):
        cells = _cells(small, colour, boxes, threshold)
        if sum(sum(cell.support) for cell in cells) > sum(sum(cell.support) for cell in best) or not best:
            best = cells
    regions = [_region(cell, small, width, height) for cell in best]
    order = reading_order([region.box for region in regions], width, height, direction=direction)
    return [regions[i] for i in order.indices]


def _short_side(width: int, height: int) -> float:
    """Short side of one page: a double page is two of them."""
    return min(height, width / 2 if width > SPREAD * height else width)


def _cells(image: Image, colour: NDArray[np.uint8], boxes: list[Box], threshold: float) -> list[Cell]:
    height, width = image.shape[:2]
    short = _short_side(width, height)
    ruler = Ruler(short, max(1, round(0.0025 * short)))
    maps = evidence(likeness(image, colour), ruler.reach, 0.04 * short, boxes)
    splitter = Splitter(maps, ruler, threshold)
    folds = [width / 2] if width > SPREAD * height and not _drawn_across(image) else []
    edges = [0.0, *folds, float(width)]
    pages = [
        Cell(np.array([[x0, 0], [x1, 0], [x1, height], [x0, height]], np.float64))
        for x0, x1 in itertools.pairwise(edges)
    ]
    panels = [panel for page in pages for panel in splitter.panels(page)]
    if len(pages) > 1 and not any(any(panel.support) for panel in panels):
        return [Cell(np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64))]
    return panels


def _drawn_across(image: Image) -> bool:
    """Whether a drawing goes on over the fold of a double page.

    It does where the columns on either side of the fold rise and fall together: by chance they do in a fifth of the
    places where there is anything to see, along a drawing in nearly all.
    """
    height, width = image.shape[:2]
    middle = width // 2
    rows = max(8, height // 20)
    blocks = height // rows
    if not blocks or middle < 6:
        return False
    columns = [image[:, middle + shift : middle + shift + 2].mean(axis=(1, 2)) for shift in (-4, 2)]
    # Blurred along the fold: a slanted line crosses the two sides a few rows apart.
    sides = [cv2.blur(column[:, None], (1, 9))[: blocks * rows].reshape(blocks, rows) for column in columns]
    one, other = (side - side.mean(1, keepdims=True) for side in sides)
    spread = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    alike = (one * other).sum(1) > 0.7 * spread
    drawn = np.maximum(one.std(1), other.std(1)) > 8
    return bool((alike & drawn).sum() >= max(2, 0.4 * drawn.sum()))


def _backgrounds(image: Image, wanted: Background) -> list[NDArray[np.uint8]]:
    """Colours the gutters may have, likeliest first."""
    white, black = np.full(3, 255, np.uint8), np.zeros(3, np.uint8)
    if wanted != "auto":
        return [white if wanted == "white" else black]
    rim = max(2, round(0.01 * min(image.shape[:2])))
    ring = np.concatenate(
        [part.reshape(-1, 3) for part in (image[:rim], image[-rim:], image[:, :rim], image[:, -rim:])]
    )
    mode = np.median(ring, axis=0).astype(np.uint8)
    share = (255 - likeness(ring[None], mode) < PAPER).mean()
    if share < 0.5:  # panels run off the page on most sides: the rim says nothing
        return [white]
    if mode.min() > 200:  # paper, yellowed or grey
        return [mode]
    return [white, mode]


def _region(cell: Cell, image: Image, width: int, height: int) -> Region:
    across, down = width / image.shape[1], height / image.shape[0]
    points = cell.points * [across, down]
    low, high = np.floor(points.min(0)), np.ceil(points.max(0))
    box = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1])).clip(width, height)
    support = [value or AT_PAGE_EDGE for value in cell.support]
    polygon = tuple((round(float(x)), round(float(y))) for x, y in points)
    method = "cuts" if any(cell.support) else "page"
    return Region("panel", box, float(np.mean(support)), method, None, polygon)
