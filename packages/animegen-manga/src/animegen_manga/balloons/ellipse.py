"""A balloon whose outline is so open that no flood holds: the ellipse around the text that most of it lies on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen_manga.balloons.paper import letters_inside
from animegen_manga.balloons.shape import dilate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Box, Mask

SCALES = np.arange(1.2, 2.61, 0.1)
"""Axes tried, in sides of the text box; the SPEC's fixed ellipse has 1.5."""

DRAWN = 0.6
"""Share of the ellipse that must lie on drawn lines. Strokes that happen to cross it cover far less."""

CLEAN = 0.03
"""Largest share of ink, other than the text's, inside the ellipse."""


def open_balloon(difference: NDArray[np.uint8], box: Box, allowed: Mask) -> Mask | None:
    """The best-drawn ellipse around a text box, or None where none is drawn enough or clean enough.

    Args:
        difference: (H, W) uint8, difference from the paper.
        box: Text box in the window.
        allowed: (H, W) bool, where a balloon may be.
    """
    height, width = difference.shape
    solid = difference > 64
    ink = solid & ~letters_inside(solid, box)
    near = dilate(ink, 2)
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    sx, sy = (grid.ravel()[:, None] for grid in np.meshgrid(SCALES, SCALES))
    cx, cy = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    x = np.round(cx + sx * box.width / 2 * np.cos(angles)).astype(int)
    y = np.round(cy + sy * box.height / 2 * np.sin(angles)).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    on_line = near[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] & inside
    drawn = on_line.mean(axis=1)
    best = int(drawn.argmax())
    if drawn[best] < DRAWN:
        return None
    filled = np.zeros((height, width), np.uint8)
    axes = (float(sx[best, 0] * box.width), float(sy[best, 0] * box.height))
    cv2.ellipse(filled, ((cx, cy), axes, 0.0), 1, cv2.FILLED)
    mask = (filled > 0) & allowed
    core = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return mask if core.any() and ink[core].mean() <= CLEAN else None
