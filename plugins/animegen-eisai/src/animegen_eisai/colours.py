"""Colours as EISAI compares them: CIE Lab of sRGB under D65."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)


def lab(image: Tensor) -> Tensor:
    """(N, 3, H, W) sRGB in [0, 1] as CIE Lab: L from 0 to 100, a and b about -128 to 127."""
    with without_autocast(image.device):
        linear = torch.where(image > 0.04045, ((image + 0.055) / 1.055).clamp_min(0) ** 2.4, image / 12.92)
        mix = image.new_tensor(_TO_XYZ) / image.new_tensor(_WHITE)[:, None]
        xyz = torch.einsum("oc,nchw->nohw", mix, linear)
        # Torch has no cube root; the clamp keeps its gradient finite on the other branch.
        curved = torch.where(xyz > 0.008856, xyz.clamp_min(0.008856) ** (1 / 3), 7.787 * xyz + 4 / 29)
        x, y, z = curved.unbind(1)
        return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), 1)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Within the block numbers stay in the format that they have: places and colours are no matter for half of it."""
    if device.type not in ("cpu", "cuda"):  # not every torch has autocast elsewhere
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
