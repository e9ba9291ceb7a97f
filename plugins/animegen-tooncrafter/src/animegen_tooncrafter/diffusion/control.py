"""Residuals that steer the U-Net, for some frames of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Control:
    """What a sketch encoder adds to the U-Net: to the output of its middle and to each of its skips.

    Attributes:
        frames: The frames that have a sketch, ascending; all others are left as they are.
        skips: One (B·len(frames), C, H, W) for each input block, from the picture down.
        middle: (B·len(frames), C, H, W).
        scale: Factor of all of them.
    """

    frames: tuple[int, ...]
    skips: Sequence[Tensor]
    middle: Tensor
    scale: float = 1.0

    def add_middle(self, x: Tensor, frames: int) -> Tensor:
        """`x` (B·T, C, H, W) plus the middle's residual."""
        return self._add(x, self.middle, frames)

    def add_skip(self, index: int, x: Tensor, frames: int) -> Tensor:
        """`x` (B·T, C, H, W), the skip of input block `index`, plus its residual."""
        return self._add(x, self.skips[index], frames)

    def _add(self, x: Tensor, residual: Tensor, frames: int) -> Tensor:
        if not self.frames:
            return x
        where = torch.tensor(self.frames, device=x.device)
        clip = x.view(-1, frames, *x.shape[1:])
        residual = (self.scale * residual).to(x).view(-1, len(self.frames), *x.shape[1:])
        return clip.index_add(1, where, residual).flatten(0, 1).contiguous(memory_format=torch.channels_last)
