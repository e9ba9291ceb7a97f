"""Where frames are in time, for attention over them: queries and keys turned, and a learned addend to their scores."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

TURNED = 32
"""Channels of a head that are turned, the first ones."""
PERIOD = 10000.0
BUCKETS = 32
FARTHEST = 32
"""Distance in frames from which on all are one bucket."""


def frequencies() -> Tensor:
    """The 16 of rotary positions, float32; the published file holds them once for every attention."""
    return PERIOD ** -(torch.arange(0, TURNED, 2).float() / TURNED)


class Turn:
    """Rotary positions (Su et al., "RoFormer", 2021) for clips of `frames` frames.

    Neighbouring channels (2i, 2i + 1) are the two coordinates of a point, which the i-th frequency turns.
    """

    def __init__(self, frames: int, device: torch.device) -> None:
        angles = torch.arange(frames).float()[:, None, None] * frequencies()
        self.phases = torch.polar(torch.ones_like(angles), angles).to(device)  # (T, 1, 16)

    def __call__(self, x: Tensor) -> Tensor:
        """(B, T, N, D), D at least 32 -> the same, written over `x` where that is float32."""
        if x.dtype == torch.float32 and not torch.is_grad_enabled():
            torch.view_as_complex(_points(x)).mul_(self.phases)
            return x
        points = torch.view_as_complex(_points(x).float())
        turned = torch.view_as_real(points * self.phases).flatten(-2)
        return torch.cat((turned.to(x.dtype), x[..., TURNED:]), -1)


def _points(x: Tensor) -> Tensor:
    """(..., D) -> (..., 16, 2), a view."""
    return x[..., :TURNED].view(*x.shape[:-1], TURNED // 2, 2)


def buckets(frames: int) -> Tensor:
    """(T, T) int64: the bucket of each query's (rows) and key's (columns) distance.

    As in T5 (Raffel et al., JMLR 2020): half of the buckets for keys that come later; of each half the first half for
    single distances, the rest for ranges that grow geometrically.
    """
    place = torch.arange(frames)
    distance = place[None] - place[:, None]
    half = BUCKETS // 2
    single = half // 2
    far = distance.abs()
    share = torch.log(far.clamp_min(1).float() / single) / math.log(FARTHEST / single)
    ranges = (single + (share * (half - single)).long()).clamp_max(half - 1)
    return torch.where(distance > 0, half, 0) + torch.where(far < single, far, ranges)


class RelativeBias(nn.Module):
    """What is added to the scores of attention for a distance in time, head by head."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(BUCKETS, heads)

    def forward(self, places: Tensor) -> Tensor:
        """`buckets` (T, T) -> (heads, T, T)."""
        bias: Tensor = self.relative_attention_bias(places)
        return bias.permute(2, 0, 1).contiguous()
