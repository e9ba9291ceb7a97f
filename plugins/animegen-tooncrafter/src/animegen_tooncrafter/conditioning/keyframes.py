"""From a picture to a keyframe: (3, H, W) float32 in [-1, 1].

The core letterboxes pictures to the size of the clip and undoes that afterwards: `keyframe` is all a stage needs. The
two published programs cut the picture instead; what they do is kept for comparing clips with theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad

if TYPE_CHECKING:
    from numpy.typing import NDArray


def keyframe(picture: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 RGB, already of the clip's size -> (3, H, W)."""
    levels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    return levels.div_(255).mul_(2).sub_(1).contiguous()


def script_keyframe(picture: NDArray[np.uint8], height: int, width: int) -> Tensor:
    """As the published command-line script has it, from a picture of any size.

    The shorter side becomes min(height, width), the middle is cut out, and where the picture is too narrow for that
    there is black.
    """
    tall, wide = _resized(picture.shape[0], picture.shape[1], min(height, width))
    small = np.asarray(Image.fromarray(picture).resize((wide, tall), Image.Resampling.BILINEAR))
    levels = torch.from_numpy(np.array(small)).permute(2, 0, 1).float()
    return _centre(levels, height, width) / 255 * 2 - 1


def gradio_keyframe(picture: NDArray[np.uint8], height: int, width: int, *, antialias: bool = True) -> Tensor:
    """As the published web page has it: the same, but what is too narrow gets mid grey.

    Args:
        antialias: What torchvision does since 0.17; False for the versions before.
    """
    tall, wide = _resized(picture.shape[0], picture.shape[1], min(height, width))
    whole = keyframe(picture)[None]
    small = interpolate(whole, (tall, wide), mode="bilinear", align_corners=False, antialias=antialias)[0]
    return _centre(small, height, width)


def _resized(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Height and width when the shorter side is `shorter`."""
    if height <= width:
        return shorter, int(shorter * width / height)
    return int(shorter * height / width), shorter


def _centre(x: Tensor, height: int, width: int) -> Tensor:
    """The middle of (C, H, W), with zeros where that is too small."""
    down, across = max(0, height - x.shape[-2]), max(0, width - x.shape[-1])
    x = pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
    top, left = round((x.shape[-2] - height) / 2), round((x.shape[-1] - width) / 2)
    return x[:, top : top + height, left : left + width].contiguous()
