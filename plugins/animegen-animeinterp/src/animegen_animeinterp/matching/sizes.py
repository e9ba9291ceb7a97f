"""The size that drawings are segmented at. Light: no torch."""

from __future__ import annotations

import math

from animegen_animeinterp.plugin import PUBLISHED_SIZE

LEAST_SIDE = 16


def working_size(size: tuple[int, int], *, published: bool = False) -> tuple[int, int]:
    """Height and width that a picture of `size` is segmented at.

    As many pixels as the published 960 × 540 in the picture's own shape, because the rules of segmentation are in
    pixels; 16:9 is 960 × 540 either way. `published` is 960 × 540 whatever the shape.
    """
    width, height = PUBLISHED_SIZE
    if published:
        return height, width
    scale = math.sqrt(width * height / (size[0] * size[1]))
    return max(LEAST_SIDE, round(size[0] * scale)), max(LEAST_SIDE, round(size[1] * scale))
