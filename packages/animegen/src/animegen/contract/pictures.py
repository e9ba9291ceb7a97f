"""The drawing that stages are tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from animegen.media import Image

HEIGHT, WIDTH = 37, 53
"""Odd, prime and unequal: a stage that rounds sizes or swaps them is caught."""


def picture(height: int = HEIGHT, width: int = WIDTH, *, shift: float = 0.0) -> Image:
    """A small drawing: a dark ring and a colour ramp on paper with grain, (height, width, 3) uint8 RGB.

    Args:
        shift: Moves the ring right, as a share of the width.
    """
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot(y - height / 2, x - width * (0.4 + shift))
    ramp = np.stack([x * 60 / width, y * 60 / height, (x + y) * 30 / (width + height)], axis=2)
    grain = np.random.default_rng(7).integers(0, 12, (height, width, 1))
    ring = np.abs(radius - min(height, width) / 4) < 1.5
    return np.ascontiguousarray(np.where(ring[..., None], 20, 240 - ramp - grain).astype(np.uint8))
