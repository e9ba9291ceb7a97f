"""Small pictures that look like what stages meet, the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from animegen.contract.pictures import picture
from animegen.media import Panel, PanelPair

if TYPE_CHECKING:
    from animegen.media import Image

Pattern = Literal["drawing", "grey", "screentone", "noise", "blank"]


def toy_image(pattern: Pattern = "drawing", *, height: int = 48, width: int = 64, shift: float = 0.0) -> Image:
    """A small picture, (height, width, 3) uint8 RGB.

    Args:
        pattern: ``drawing`` (a dark ring on coloured paper with grain), ``grey`` (the same in three equal channels),
            ``screentone`` (a dot lattice of pitch 6 px at 45 degrees behind the ring), ``noise`` (uniform) or
            ``blank`` (white).
        height, width: Size in pixels.
        shift: Moves the ring right, as a share of the width.
    """
    if pattern == "noise":
        return np.random.default_rng(11).integers(0, 256, (height, width, 3), np.uint8)
    if pattern == "blank":
        return np.full((height, width, 3), 255, np.uint8)
    image = picture(height, width, shift=shift)
    if pattern == "drawing":
        return image
    grey = np.repeat(image[..., 1:2], 3, axis=2)
    if pattern == "grey":
        return grey
    y, x = np.mgrid[0:height, 0:width]
    wave = np.cos(2 * np.pi * (x + y) / 6 / np.sqrt(2)) + np.cos(2 * np.pi * (x - y) / 6 / np.sqrt(2))
    dots = (wave > 0.9)[..., None]
    return np.ascontiguousarray(np.where(dots, np.minimum(grey, 40), grey))


def tiny_pair(*, height: int = 48, width: int = 64) -> PanelPair:
    """Two panels whose ring moves by a fifth of the width."""
    first, last = (toy_image(height=height, width=width, shift=shift) for shift in (0.0, 0.2))
    return PanelPair(Panel(first, name="first"), Panel(last, name="last"), id="tiny")
