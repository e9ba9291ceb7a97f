"""Motion between two pictures by OpenCV's DIS flow, without weights: for controls, strata and held drawings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image

FASTEST = 0.05
"""Share of the pixels whose motion is that of the drawing: the rest is paper."""
LEAST_SIDE = 16
"""Px; below, there is no flow, and it is taken to be 0."""
CELL = 8
"""Side of the cells in which held drawings are compared, px."""
HELD_LEVELS = 4.0
"""Grey levels by which the mean of a cell may differ in a drawing that is held: what compression changes."""
STRATA = (("small", 0.01), ("medium", 0.04))
"""Motion of the fastest pixels between the given pictures, as a share of the diagonal, below which it is so called."""


def dis_flow(one: Image, other: Image) -> NDArray[np.float32]:
    """Motion of every pixel of `one` towards `other`, (H, W, 2) px, channel 0 along x; DIS, medium preset."""
    height, width = one.shape[:2]
    if min(height, width) < LEAST_SIDE:
        return np.zeros((height, width, 2), np.float32)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (one, other)]
    return np.asarray(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None), np.float32)


def travel(one: Image, other: Image) -> float:
    """Mean length of the flow of the fastest 5 % of pixels, px."""
    flow = dis_flow(one, other)
    lengths = np.hypot(flow[..., 0], flow[..., 1]).ravel()
    count = max(1, round(FASTEST * lengths.size))
    return float(np.partition(lengths, -count)[-count:].mean())


def stratum(one: Image, other: Image) -> str:
    """``small``, ``medium`` or ``large`` motion, see `STRATA`."""
    share = travel(one, other) / float(np.hypot(*one.shape[:2]))
    return next((name for name, most in STRATA if share < most), "large")


def is_held(one: Image, other: Image) -> bool:
    """Whether two pictures are one drawing, but for what compression changes: no cell of 8 × 8 differs by 4 levels."""
    difference = cv2.absdiff(one, other).max(axis=2).astype(np.float32)
    height, width = (max(1, side // CELL) for side in difference.shape)
    cells = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
    return bool(cells.max() < HELD_LEVELS)
