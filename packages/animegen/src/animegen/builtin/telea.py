"""Classical inpainting with OpenCV: the colours of the rim march into the hole. Quick, needs no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from animegen.builtin.plugin import TeleaOptions
    from animegen.media import Image, Mask
    from animegen.stages import Context

PAPER = 255
"""Grey level put where nothing is known of a picture: white paper."""

_METHODS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}


def march(image: Image, mask: Mask, *, radius: float = 3.0, method: str = "telea") -> Image:
    """Fill the masked pixels of an image from the rim of each hole inwards.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, True where to fill; at least one pixel must be False.
        radius: Pixels around each point that it is computed from.
        method: ``telea`` (Telea 2004, fast marching) or ``ns`` (Bertalmio et al. 2001, Navier-Stokes).

    Returns:
        A new image; every pixel outside the mask is equal.
    """
    filled = cv2.inpaint(image, mask.astype(np.uint8), radius, _METHODS[method])
    return np.ascontiguousarray(np.where(mask[..., None], filled, image))


class Telea:
    """`march` behind the inpainter's contract."""

    def __init__(self, options: TeleaOptions, context: Context) -> None:
        self.options = options
        self.context = context

    def __call__(self, image: Image, mask: Mask) -> Image:
        """(H, W, 3) uint8 RGB with the True pixels of an (H, W) bool mask filled; all others are equal.

        A picture that is masked as a whole becomes white paper, with a warning.
        """
        if not mask.any():
            return image.copy(order="C")
        if mask.all():
            self.context.warn("The whole picture is masked, so nothing is known to fill it from: white paper.")
            return np.full(image.shape, PAPER, dtype=np.uint8)
        return march(image, mask, radius=self.options.radius, method=self.options.method)
