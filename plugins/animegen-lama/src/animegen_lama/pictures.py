"""What people hand in as picture and mask, made into what the network takes, or refused in clear words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from animegen.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

THRESHOLD = 127
"""Grey level from which a pixel of an 8-bit mask is a hole: a mask that went through JPEG is never quite black."""


def to_array(value: Any, what: str) -> NDArray[Any]:
    """An array from an array or a Pillow image (palettes resolved, one-bit images as bool).

    Raises:
        InputError: It is neither, for instance a path.
    """
    if isinstance(value, np.ndarray):
        return value
    mode = getattr(value, "mode", None)
    if mode is None or not hasattr(value, "convert"):
        raise InputError(
            f"{what} is a {type(value).__name__}; an array or a Pillow image is expected.",
            hint="animegen.imageio reads files",
        )
    if mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        value = value.convert("RGBA" if mode == "PA" or "transparency" in value.info else "RGB")
    return np.asarray(value)


def to_rgb(image: NDArray[Any]) -> Image:
    """(H, W, 3) uint8 RGB from grey (H, W) or (H, W, 1), grey with alpha, RGB or RGBA; alpha is left out.

    Raises:
        InputError: Another type or shape, or no pixels.
    """
    if image.dtype != np.uint8:
        raise InputError(f"the image is {image.dtype}; uint8 from 0 to 255 is expected.")
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels not in (1, 2, 3, 4) or not image.size:
        raise InputError(f"the image has the shape {image.shape}; (H, W), (H, W, 3) or (H, W, 4) is expected.")
    if channels >= 3:
        return np.ascontiguousarray(image[..., :3])
    grey = image if image.ndim == 2 else image[..., 0]
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))


def to_hole(mask: NDArray[Any], height: int, width: int) -> Mask:
    """(H, W) bool from a bool or an 8-bit mask (from `THRESHOLD` on), also with one or three equal channels.

    Raises:
        InputError: Another type, shape or size; or an 8-bit mask of zeros and ones, which would be empty.
    """
    if mask.dtype == np.bool_:
        hole = mask
    elif mask.dtype == np.uint8:
        if mask.size and mask.max() == 1:
            raise InputError(
                "the mask is uint8 and holds only 0 and 1; an 8-bit mask goes from 0 to 255.",
                hint="use mask.astype(bool), or multiply by 255",
            )
        hole = mask >= THRESHOLD
    else:
        raise InputError(f"the mask is {mask.dtype}; bool, or uint8 from 0 to 255, is expected.")
    if hole.ndim == 3 and hole.shape[2] in (1, 3):
        if not (hole == hole[..., :1]).all():
            raise InputError("the mask is in colour, so it is unclear what is to be filled; a grey one is expected.")
        hole = hole[..., 0]
    if hole.shape != (height, width):
        raise InputError(
            f"the mask has the shape {mask.shape}, the image is {width} × {height}; they must be of one size."
        )
    return np.ascontiguousarray(hole)


def put_back(image: NDArray[Any], filled: Image, hole: Mask) -> NDArray[np.uint8]:
    """A copy of `image`, in its own channels, with the pixels of `hole` taken from `filled`; alpha stays."""
    result = np.array(image, dtype=np.uint8, order="C")
    if result.ndim == 3 and result.shape[2] >= 3:
        result[..., :3][hole] = filled[hole]
    else:
        grey = result if result.ndim == 2 else result[..., 0]
        grey[hole] = cv2.cvtColor(filled, cv2.COLOR_RGB2GRAY)[hole]
    return result


def is_grey(image: Image, hole: Mask) -> bool:
    """Whether all known pixels are grey, as on a manga page (False where nothing is known)."""
    red, green, blue = (image[..., channel][~hole] for channel in range(3))
    return bool(red.size and (red == green).all() and (green == blue).all())
