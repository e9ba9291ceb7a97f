"""Pictures between stages (uint8, channels last) and pictures in a network (floating, channels first)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from animegen.errors import StageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_tensor(
    pictures: NDArray[np.uint8],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    channels_last: bool = False,
) -> Tensor:
    """Pictures on the device, in 0 to 1.

    Args:
        pictures: (H, W, C) or (N, H, W, C) uint8.
        device: Bytes travel there, a quarter of what floats would be; to CUDA through pinned memory, without waiting.
        dtype: Floating type of the result.
        channels_last: Leave the channels of a pixel beside each other in memory (the shape is the same).

    Returns:
        (N, C, H, W), a new tensor; N is 1 for a single picture.

    Raises:
        ValueError: Another type or shape.
    """
    if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4):
        raise ValueError(f"(H, W, C) or (N, H, W, C) uint8 is expected, not {pictures.shape} {pictures.dtype}")
    array = np.ascontiguousarray(pictures if pictures.ndim == 4 else pictures[None])
    if not array.flags.writeable:  # torch warns of these
        array = array.copy()
    there = torch.from_numpy(array)
    device = torch.device(device)
    if device.type == "cuda":
        there = there.pin_memory().to(device, non_blocking=True)
    else:
        there = there.to(device)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    # Divided, not multiplied by the inverse: k / 255 is then the nearest number to it in every type.
    return there.permute(0, 3, 1, 2).to(dtype, memory_format=memory, copy=True).div_(255)


def to_pictures(tensor: Tensor) -> NDArray[np.uint8]:
    """Pictures of a network as (N, H, W, C) uint8.

    Args:
        tensor: (N, C, H, W) or (C, H, W), any floating type; values are cut to 0..1 and rounded to the nearest level.

    Raises:
        StageError: There are values that are not numbers: they would turn into black silently.
    """
    levels = tensor.detach() if tensor.dim() == 4 else tensor.detach()[None]
    levels = levels.to(torch.float32, copy=True).clamp_(0, 1).mul_(255)
    if levels.numel() and bool(levels.sum().isnan()):
        raise StageError(
            f"the network gave values that are not numbers, in {str(tensor.dtype).removeprefix('torch.')}.",
            hint="use --dtype float32; if that is what was used, are the weights whole? animegen weights verify --all",
        )
    result = levels.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()
    array: NDArray[np.uint8] = result.numpy()
    return array
