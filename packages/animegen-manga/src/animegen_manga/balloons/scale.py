"""Very large scans are looked at smaller: outlines are then as wide as everywhere else, and the time is the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box, Region

if TYPE_CHECKING:
    from animegen.media import Image

LARGEST = 3_000_000
"""Pixels from which a picture is shrunk to WORKING: a double page at 300 dpi is 8 to 12 million."""

WORKING = 1_600_000
"""Pixels of a picture after shrinking (SPEC 3.1, step 1)."""


def working_scale(image: Image) -> float:
    """Factor, at most 1, by which a picture is to be scaled before balloons are looked for."""
    pixels = image.shape[0] * image.shape[1]
    return 1.0 if pixels <= LARGEST else float((WORKING / pixels) ** 0.5)


def shrink(image: Image, scale: float) -> Image:
    """The picture scaled by `scale`, area-averaged."""
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def scale_boxes(boxes: Sequence[Box], scale: float) -> list[Box]:
    """Boxes in the scaled picture, never narrower than one pixel."""
    out = []
    for x0, y0, x1, y1 in boxes:
        left, top = int(x0 * scale), int(y0 * scale)
        out.append(Box(left, top, max(left + 1, round(x1 * scale)), max(top + 1, round(y1 * scale))))
    return out


def enlarge(region: Region, scale: float, width: int, height: int) -> Region:
    """A region of the scaled picture in the picture of `width` × `height`; its rim is smooth, not stepped."""
    b = region.box
    box = Box(round(b.x0 / scale), round(b.y0 / scale), round(b.x1 / scale), round(b.y1 / scale)).clip(width, height)
    assert region.mask is not None
    soft = cv2.resize(region.mask.astype(np.float32), (box.width, box.height), interpolation=cv2.INTER_LINEAR)
    return Region(region.kind, box, region.score, region.method, soft > 0.5)
