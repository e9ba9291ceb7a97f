"""Numbers (timestep, frames per second) as vectors of sines and cosines."""

from __future__ import annotations

import math

import torch
from torch import Tensor

PERIOD = 10000.0


def sinusoids(numbers: Tensor, width: int) -> Tensor:
    """(B,) -> (B, width) float32: cosines in the first half, sines in the second, a zero at the end of an odd width."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=numbers.device)
    frequencies = torch.exp(-math.log(PERIOD) * steps / half)
    angles = numbers.float()[:, None] * frequencies[None]
    return torch.nn.functional.pad(torch.cat((angles.cos(), angles.sin()), 1), (0, width % 2))
