"""Convolutions and norms whose inputs and results are float32, whatever type their parameters have.

What is handed from layer to layer is float32 for as long as a few frames are worked on. In half precision only the
products of convolutions and attention run in the half type: sums and norms of this autoencoder leave the range of
float16 (65504) on some drawings, which then come out black.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm, pad, silu

GROUPS = 32

_HEADROOM = {torch.float16: 16.0}
"""A convolution in float16 sees its input divided by this, so that its result may exceed 65504 by as much. A power of
two: no digit is lost that a number as small as 6e-5 × 16 has."""


def headroom(dtype: torch.dtype) -> float:
    """By what numbers are divided before they are written in `dtype`."""
    return _HEADROOM.get(dtype, 1.0)


def shrink(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Float32 `x` as `dtype`, divided by its headroom; `x` itself for float32."""
    if dtype == torch.float32:
        return x
    scale = headroom(dtype)
    return (x / scale if scale != 1 else x).to(dtype)


def grow(x: Tensor, *, out_of: torch.dtype) -> Tensor:
    """The inverse of `shrink`: float32, times the headroom of the type it comes out of."""
    if out_of == torch.float32:
        return x
    x = x.float()
    return x.mul_(headroom(out_of)) if headroom(out_of) != 1 else x


def half_sum(result: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """What a product in `dtype` without its bias stands for, (N, C, ...) float32."""
    result = grow(result, out_of=dtype)
    if bias is not None:
        result += bias.float().view(-1, *[1] * (result.ndim - 2))
    return result


class Conv2d(nn.Conv2d):
    """A convolution; float32 in, float32 out."""

    def forward(self, x: Tensor) -> Tensor:
        dtype = self.weight.dtype
        if dtype == torch.float32:
            return super().forward(x)
        return half_sum(self._conv_forward(shrink(x, dtype), self.weight, None), self.bias, dtype)


class GroupNorm(nn.GroupNorm):
    """Group norm over 32 groups, frame by frame; float32 in, float32 out."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(GROUPS, channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        return group_norm(x, self.num_groups, self.weight.float(), self.bias.float(), self.eps)


def swish(x: Tensor) -> Tensor:
    """x · sigmoid(x), written over `x`: always the result of a norm, which nobody else needs."""
    return silu(x, inplace=True)


class Downsample(nn.Module):
    """Half the size by a convolution with stride 2, with zeros at the right and the bottom."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(pad(x, (0, 1, 0, 1)))
        return result


class Upsample(nn.Module):
    """Twice the size: every pixel four times, then a 3×3 convolution.

    Of the nine pixels that a result is a sum of, those of the same origin are equal. So each of the four results per
    pixel is computed as a 2×2 convolution of the small picture with the weights summed: 16 products instead of 36,
    and the large picture with its many channels is never made. Same sums in another order.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        frames, channels, height, width = x.shape
        dtype = self.conv.weight.dtype
        weight = self.conv.weight.float()
        padded = pad(shrink(x, dtype), (1, 1, 1, 1))
        result = torch.empty(frames, channels, 2 * height, 2 * width, device=x.device)
        for row in (0, 1):
            rows = _fold(weight, 2, row)
            for column in (0, 1):
                kernel = _fold(rows, 3, column).to(dtype)
                bias = self.conv.bias if dtype == torch.float32 else None
                part = torch.conv2d(padded[..., row : row + height + 1, column : column + width + 1], kernel, bias)
                result[..., row::2, column::2] = part if bias is not None else half_sum(part, self.conv.bias, dtype)
        return result


def _fold(weight: Tensor, axis: int, phase: int) -> Tensor:
    """Three weights as two, for the first (0) or second (1) of two equal neighbours."""
    first, second, third = weight.unbind(axis)
    return torch.stack((first + second, third) if phase else (first, second + third), axis)
