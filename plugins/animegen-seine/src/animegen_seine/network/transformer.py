"""Transformers: over the pixels of a frame, to the text, and over the frames at each pixel, in one block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from animegen_seine.network.position import RelativeBias, Turn, buckets
from animegen_torch.diffusion.attention import CrossAttention, Keys, SelfAttention
from animegen_torch.diffusion.layers import FeedForward, GroupNorm, for_each_branch, to_image, to_tokens

EPS = 1e-6


@dataclass(frozen=True)
class Frames:
    """What attention over time is told of the frames: how many there are, and where."""

    count: int
    turn: Turn
    places: Tensor

    @classmethod
    def of(cls, count: int, device: torch.device) -> Frames:
        """`count` frames in a row."""
        return cls(count, Turn(count, device), buckets(count).to(device))


class TemporalAttention(SelfAttention):
    """Attention of the frames at each pixel, which know where they are."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.time_rel_pos_bias = RelativeBias(heads)

    def forward(self, tokens: Tensor, frames: Frames) -> Tensor:
        """(B·T, L, C) -> (B·T, L, C)."""
        bias = self.time_rel_pos_bias(frames.places)
        clips = tokens.view(-1, frames.count, *tokens.shape[1:])
        return self.over_time(clips, turn=frames.turn, bias=bias).flatten(0, 1)


class Block(nn.Module):
    """Attention within a frame, to the text, over time, and a feed-forward layer; each with a norm and a residual."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.attn1 = SelfAttention(width, heads)
        self.attn2 = CrossAttention(width, heads, context, image=False)
        self.attn_temp = TemporalAttention(width, heads)
        self.ff = FeedForward(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm_temp = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, keys: Keys, frames: Frames) -> Tensor:
        tokens = self.attn1.over_space(self.norm1(tokens)).add_(tokens)
        tokens = for_each_branch(tokens, len(keys.text[0]) * frames.count)
        tokens = self.attn2(self.norm2(tokens), keys).add_(tokens)
        tokens = self.attn_temp(self.norm_temp(tokens), frames).add_(tokens)
        result: Tensor = self.ff(self.norm3(tokens))
        return result.add_(tokens)


class Pixelwise(nn.Conv2d):
    """A linear layer on tokens that is stored as a convolution of single pixels."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return linear(tokens, self.weight.flatten(1), self.bias)


class Transformer(nn.Module):
    """Each frame's pixels as tokens: (B·T, C, H, W) -> the same. The norm before it is frame by frame.

    Frames that are the same for every branch of guidance come once and leave once for each.
    """

    def __init__(self, channels: int, heads: int, context: int, groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels, EPS, groups=groups)
        self.proj_in = Pixelwise(channels, channels)
        self.transformer_blocks = nn.ModuleList([Block(channels, heads, context)])
        self.proj_out = Pixelwise(channels, channels)

    def forward(self, x: Tensor, keys: tuple[Keys, ...], frames: Frames) -> Tensor:
        height, width = x.shape[2:]
        tokens = self.proj_in(to_tokens(self.norm(x)))
        for block, its_keys in zip(self.transformer_blocks, keys, strict=True):
            tokens = block(tokens, its_keys, frames)
        tokens = self.proj_out(tokens)
        tokens.view(-1, *x.shape[:1], *tokens.shape[1:]).add_(to_tokens(x))
        return to_image(tokens, height, width)

    def keys(self, text: Tensor) -> tuple[Keys, ...]:
        """Keys and values of the text (B, L, W) for each block."""
        crossings = (block.get_submodule("attn2") for block in self.transformer_blocks)
        return tuple(one.keys(text, None) for one in crossings if isinstance(one, CrossAttention))
