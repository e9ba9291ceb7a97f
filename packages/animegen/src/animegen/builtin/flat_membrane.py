"""The smoothest surface that meets fixed values: Laplace's equation, coarse to fine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

    Surface = NDArray[Any]


_COARSE = 100
"""Levels larger than this (px) start near enough to the answer to need fewer rounds."""


def membrane(image: Image, hole: Mask, known: Mask) -> Image:
    """Fill a hole with the smoothest surface that meets its rim.

    Args:
        image: (H, W, 3) uint8 RGB.
        hole: (H, W) bool, pixels to fill.
        known: (H, W) bool, pixels whose colour may be used; other pixels are neither read nor filled.
    """
    rim = cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & known
    filled: Image = np.rint(np.clip(smoothest(image, rim), 0, 255)).astype(np.uint8)
    return filled


def smoothest(values: Surface, fixed: Mask) -> Surface:
    """Join fixed values smoothly.

    Args:
        values: (H, W, C) numbers, C at most 4; only those where `fixed` is True are read.
        fixed: (H, W) bool.

    Returns:
        (H, W, C) float32, equal to `values` where `fixed`; zeros where nothing is.
    """
    levels = [(np.where(fixed[..., None], values, 0).astype(np.float32), fixed.astype(np.float32))]
    while min(levels[-1][1].shape) > 2:
        value, weight = levels[-1]
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        total = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)[..., None]
        mixed = _deep(cv2.resize(value * weight[..., None], size, interpolation=cv2.INTER_AREA))
        coarse = np.divide(mixed, total, out=np.zeros_like(mixed), where=total > 0)
        levels.append((coarse, (total[..., 0] > 0).astype(np.float32)))
    value, weight = levels.pop()
    mean = (value * weight[..., None]).sum((0, 1)) / max(1.0, float(weight.sum()))
    surface: Surface = np.where(weight[..., None] > 0, value, mean).astype(np.float32)
    while levels:
        value, weight = levels.pop()
        here = np.broadcast_to(weight[..., None] > 0, value.shape)
        surface = _deep(cv2.resize(surface, weight.shape[::-1], interpolation=cv2.INTER_LINEAR))
        for _ in range(40 if max(weight.shape) <= _COARSE else 16):
            np.copyto(surface, value, where=here)
            surface = _deep(cv2.blur(surface, (3, 3), borderType=cv2.BORDER_REPLICATE))
        np.copyto(surface, value, where=here)
    return surface


def _deep(array: Surface) -> Surface:
    """OpenCV drops the last axis of a single channel."""
    return array if array.ndim == 3 else array[..., None]
