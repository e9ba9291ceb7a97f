"""Pictures of a video at the sizes that are judged and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from animegen.imageio import lay_on

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame

KEPT = 540, 960
"""Height and width of the pictures that are kept."""


def sized(frame: SourceFrame, height: int, width: int, fit: str) -> Image:
    """The picture of a frame at a size, (height, width, 3) uint8, widened filters where it shrinks (Pillow's BILINEAR).

    Args:
        frame: Transparency is laid on white.
        height, width: Of the result.
        fit: ``stretch``, or ``crop`` to cut its middle out in the shape of the result.
    """
    picture = frame.image()
    if picture.shape[2] == 4:
        picture = lay_on(picture[..., :3].copy(), picture[..., 3], 255)
    return resized(picture, height, width, fit)


def resized(picture: Image, height: int, width: int, fit: str = "stretch") -> Image:
    """`sized` of a picture, (H, W, 3) uint8."""
    H, W = picture.shape[:2]
    if fit == "crop":
        tall, wide = min(H, round(W * height / width)), min(W, round(H * width / height))
        top, left = (H - tall) // 2, (W - wide) // 2
        picture = np.ascontiguousarray(picture[top : top + tall, left : left + wide])
    if picture.shape[:2] == (height, width):
        return picture
    return np.array(Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BILINEAR))
