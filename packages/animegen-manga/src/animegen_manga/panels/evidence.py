"""What speaks for a gutter: paper, and straight edges from ink to paper and back, with a direction each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.media import Box, Image

PAPER = 24
"""Grey levels a pixel may differ from the page's background and still be background."""
STEP = 50
"""Grey levels between ink and paper that make an edge."""
SOLID = 80
"""Likeness to the background below which ink is solid, as in a ruled frame."""
STEEPEST = 0.36
"""Slope (tangent) of the most slanted gutter: 20 degrees."""


@dataclass(frozen=True)
class Maps:
    """Evidence for gutters that run down; those that run across are the same of the transposed page.

    Attributes:
        paper: (H, W) bool, background.
        rise: (H, W) bool, an edge where ink ends and paper begins, going right.
        fall: (H, W) bool, an edge where paper ends and ink begins.
        near_rise, near_fall: The same within reach of one.
        stroke: (H, W) bool, within reach of a thin drawn line that runs down.
        solid: (H, W) bool, within reach of solid ink.
        ink: (H, W + 1) int32, ink pixels in the row before each column.
        lines: (N, 4) candidate lines: start and slope of ``x = start + slope * y``, and the middle (x, y) of the
            straight piece each was seen in.
    """

    paper: NDArray[np.bool_]
    rise: NDArray[np.bool_]
    fall: NDArray[np.bool_]
    near_rise: NDArray[np.bool_]
    near_fall: NDArray[np.bool_]
    stroke: NDArray[np.bool_]
    solid: NDArray[np.bool_]
    ink: NDArray[np.int32]
    lines: NDArray[np.float64]


def likeness(image: Image, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) uint8: 255 where a pixel has the background's colour, less by the channel that differs most."""
    difference = cv2.absdiff(image, np.broadcast_to(background, image.shape).copy())
    return np.asarray(255 - difference.max(axis=2), dtype=np.uint8)


def evidence(like: NDArray[np.uint8], reach: int, shortest: float, lettering: Sequence[Box] = ()) -> tuple[Maps, Maps]:
    """Maps for gutters that run down and for those that run across.

    Args:
        like: As `likeness` gives it.
        reach: Pixels a drawn frame may wander from a straight line.
        shortest: Length of the shortest straight piece of a frame, pixels.
        lettering: Boxes that count as paper.
    """
    segments = _segments(like, shortest)
    dx, dy = cv2.Sobel(like, cv2.CV_16S, 1, 0), cv2.Sobel(like, cv2.CV_16S, 0, 1)
    paper = like > 255 - PAPER
    for box in lettering:
        paper[max(0, box.y0) : max(0, box.y1), max(0, box.x0) : max(0, box.x1)] = True
    down = _maps(like, paper, dx, dy, segments, reach)
    flipped = segments[:, [1, 0, 3, 2]]
    across = _maps(np.ascontiguousarray(like.T), np.ascontiguousarray(paper.T), dy.T, dx.T, flipped, reach)
    return down, across


def _segments(like: NDArray[np.uint8], shortest: float) -> NDArray[np.float64]:
    """Straight edges: (N, 4) x0, y0, x1, y1."""
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_NONE, 1.0).detect(like)[0]
    if found is None:
        return np.zeros((0, 4))
    segments = found.reshape(-1, 4).astype(np.float64)
    length = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    return np.asarray(segments[length >= shortest])


def _maps(like: Any, paper: Any, dx: Any, dy: Any, segments: NDArray[np.float64], reach: int) -> Maps:
    straight = abs(dx) > 2 * abs(dy)
    near = np.ones((1, 2 * reach + 1), np.uint8)
    rise, fall = ((dx > 4 * STEP) & straight), ((dx < -4 * STEP) & straight)
    near_rise, near_fall = (cv2.dilate(m.astype(np.uint8), near).astype(bool) for m in (rise, fall))
    # A thin dark line vanishes when closed across, and is long along.
    closed = cv2.morphologyEx(like, cv2.MORPH_CLOSE, np.ones((1, 4 * reach + 1), np.uint8))
    thin = cv2.dilate((cv2.subtract(closed, like) > STEP).astype(np.uint8), np.ones((1, 3), np.uint8))
    long = cv2.morphologyEx(thin, cv2.MORPH_OPEN, np.ones((6 * reach + 1, 1), np.uint8))
    stroke = cv2.dilate(long, near).astype(bool)
    solid = cv2.erode(like, near) < SOLID
    ink = np.zeros((like.shape[0], like.shape[1] + 1), np.int32)
    np.cumsum(~paper, axis=1, out=ink[:, 1:])
    x0, y0, x1, y1 = segments.T
    upright = abs(y1 - y0) * STEEPEST >= abs(x1 - x0)
    x0, y0, x1, y1 = x0[upright], y0[upright], x1[upright], y1[upright]
    slope = (x1 - x0) / np.where(y1 == y0, 1, y1 - y0)
    middle = (y0 + y1) / 2
    start = (x0 + x1) / 2 - slope * middle
    return Maps(
        paper,
        rise,
        fall,
        near_rise,
        near_fall,
        stroke,
        solid,
        ink,
        np.stack([start, slope, (x0 + x1) / 2, middle], axis=1),
    )
