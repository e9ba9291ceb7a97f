"""What the paper of a balloon looks like, and where it goes on: colour, tolerance, letters that must not block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Box, Image, Mask

LIGHT = 176
"""Grey level from which a pixel counts as light; ink, even blurred by JPEG, stays below."""


@dataclass(frozen=True)
class Paper:
    """Colour of the ground that lettering stands on.

    Attributes:
        colour: (3,) float, RGB.
        light: Whether the ground is lighter than the letters.
    """

    colour: NDArray[np.float32]
    light: bool


def find_paper(image: Image, box: Box) -> Paper:
    """The commonest colour in and just around a text box.

    A balloon's ground is flat, so it peaks in the histogram even under bold letters; where a good share of the
    pixels is light, the ground is taken to be the light one, because a black balloon has thin white letters.

    Args:
        image: (H, W, 3) uint8 RGB.
        box: Text box inside the image.
    """
    pad = max(1, round(0.08 * min(box.width, box.height)))
    height, width = image.shape[:2]
    ring = type(box)(box.x0 - pad, box.y0 - pad, box.x1 + pad, box.y1 + pad).clip(width, height)
    pixels = image[ring.y0 : ring.y1, ring.x0 : ring.x1].reshape(-1, 3)
    grey = pixels.mean(axis=1)
    light = bool((grey >= LIGHT).mean() >= 0.3)
    share = np.histogram(grey, bins=64, range=(0, 256))[0].astype(np.float32)
    share = np.convolve(share, np.ones(3, np.float32), "same")
    if light:
        share[: LIGHT // 4] = 0
    peak = (int(share.argmax()) + 0.5) * 4
    near = np.abs(grey - peak) <= 6
    colour = np.median(pixels[near], axis=0) if near.any() else np.full(3, peak)
    return Paper(colour.astype(np.float32), light or peak >= 128)


def distance_from(image: Image, paper: Paper) -> NDArray[np.uint8]:
    """Largest channel difference from the paper: (H, W) uint8. On light paper, lighter still is paper too."""
    difference = paper.colour - image.astype(np.float32)
    if paper.light and paper.colour.min() > 200:
        difference = np.maximum(difference, 0)
    return np.asarray(np.minimum(np.abs(difference).max(axis=2), 255), np.uint8)


def letters_inside(solid: Mask, box: Box) -> Mask:
    """Non-paper components that belong to the lettering in `box`: most of each lies inside.

    Used instead of blanking the whole box: a box that reaches over the balloon's outline must not open it.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8), connectivity=8)
    inside = np.bincount(labels[box.y0 : box.y1, box.x0 : box.x1].ravel(), minlength=count)
    letter = inside >= 0.6 * stats[:, cv2.CC_STAT_AREA]
    letter[0] = False
    return np.asarray(letter[labels], bool)
