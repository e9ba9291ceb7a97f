"""Straight and premultiplied alpha.

Pictures are moved and mixed premultiplied: the colours that lie hidden where a picture is transparent then have no
weight, and no dark or bright rim creeps in from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image


def is_opaque(image: Image) -> bool:
    """Whether (H, W, 3) or (H, W, 4) uint8 has no transparent pixel."""
    return image.shape[2] == 3 or bool((image[..., 3] == 255).all())


def premultiply(image: Image) -> Image:
    """(H, W, 4) uint8, straight to premultiplied alpha, rounded. Opaque pixels stay exactly what they are."""
    if is_opaque(image):
        return image
    alpha = image[..., 3:].astype(np.uint16)
    result = image.copy()
    result[..., :3] = (image[..., :3] * alpha + 127) // 255
    return result


def unpremultiply(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Straight RGBA of premultiplied `colours` (..., 3) uint8 and `alpha` (...) uint8.

    A colour brighter than its alpha allows, which a stage's overshoot can make, becomes full. What is wholly
    transparent becomes (0, 0, 0, 0): no colour can be told there.
    """
    result = np.empty((*alpha.shape, 4), np.uint8)
    result[..., :3], result[..., 3] = colours, alpha
    partly = alpha < 255
    if partly.any():
        weight = alpha[partly].astype(np.uint16)[:, None]
        straight = (colours[partly] * np.uint16(255) + weight // 2) // np.maximum(weight, 1)
        result[partly, :3] = np.where(weight > 0, np.minimum(straight, 255), 0)
    return result
