"""Blocks that encoder and decoder share: each frame on its own, (N, C, H, W) float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from animegen_torch.diffusion.autoencoder.layers import Conv2d, GroupNorm, swish


class ResnetBlock(nn.Module):
    """Twice norm, swish and a 3×3 convolution, beside a skip (a 1×1 convolution where the width changes)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(channels)
        self.conv1 = Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = GroupNorm(out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.nin_shortcut = Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv1(swish(self.norm1(x)))
        h = self.conv2(swish(self.norm2(h)))
        if self.norm1.num_channels == self.norm2.num_channels:
            return h.add_(x)
        return h.add_(self.nin_shortcut(x))


class MiddleAttention(nn.Module):
    """Attention of one head over all pixels of a frame, beside a skip.

    The head is as wide as the frame has channels, so that in half precision its sums would leave the type's range:
    queries, keys and values are float32. It runs at the smallest size only.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels)
        self.q = Conv2d(channels, channels, 1)
        self.k = Conv2d(channels, channels, 1)
        self.v = Conv2d(channels, channels, 1)
        self.proj_out = Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (_tokens(layer(h))[:, None] for layer in (self.q, self.k, self.v))
        h = scaled_dot_product_attention(q, k, v)[:, 0]
        result: Tensor = self.proj_out(_picture(h, x.shape))
        return result.add_(x)


class Middle(nn.Module):
    """The middle of an encoder, or of a decoder of pictures."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels)
        self.attn_1 = MiddleAttention(channels)
        self.block_2 = ResnetBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return result


def _tokens(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H·W, C)."""
    return x.flatten(2).transpose(1, 2).contiguous()


def _picture(tokens: Tensor, shape: torch.Size) -> Tensor:
    """(N, H·W, C) -> (N, C, H, W)."""
    return tokens.transpose(1, 2).reshape(shape)
