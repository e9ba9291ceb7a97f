"""Transformers of the U-Net: over the pixels of a frame with the context, and over the frames at each pixel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from animegen_torch.diffusion.attention import CrossAttention, Keys, SelfAttention
from animegen_torch.diffusion.layers import (
    FeedForward,
    GroupNorm,
    Pointwise,
    for_each_branch,
    from_clip,
    to_clip,
    to_image,
    to_tokens,
)

EPS = 1e-6


class SpatialBlock(nn.Module):
    """Attention within a frame, attention to the context, feed-forward; each after a norm and with a residual."""

    def __init__(self, width: int, heads: int, context: int, *, image: bool = True) -> None:
        super().__init__()
        self.attn1 = SelfAttention(width, heads)
        self.ff = FeedForward(width)
        self.attn2 = CrossAttention(width, heads, context, image=image)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, keys: Keys, frames: int) -> Tensor:
        tokens = self.attn1.over_space(self.norm1(tokens)).add_(tokens)
        tokens = for_each_branch(tokens, frames)
        tokens = self.attn2(self.norm2(tokens), keys).add_(tokens)
        result: Tensor = self.ff(self.norm3(tokens))
        return result.add_(tokens)


class TemporalBlock(nn.Module):
    """Attention over time twice, then feed-forward. There is no position encoding and no mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn1 = SelfAttention(width, heads)
        self.ff = FeedForward(width)
        self.attn2 = SelfAttention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = self.attn1.over_time(self.norm1(tokens)).add_(tokens)
        tokens = self.attn2.over_time(self.norm2(tokens)).add_(tokens)
        result: Tensor = self.ff(self.norm3(tokens))
        return result.add_(tokens)


class SpatialTransformer(nn.Module):
    """Each frame's pixels as tokens: (B·T, C, H, W) -> the same.

    Args:
        channels: C, also the width inside.
        heads: Number of heads.
        context: Channels of the context's tokens.
        depth: Blocks behind one another.
        image: Whether the context holds image tokens.
    """

    def __init__(self, channels: int, heads: int, context: int, *, depth: int = 1, image: bool = True) -> None:
        super().__init__()
        self.norm = GroupNorm(channels, EPS)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            SpatialBlock(channels, heads, context, image=image) for _ in range(depth)
        )
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, keys: Sequence[Keys], frames: int | None = None) -> Tensor:
        """(F, C, H, W) -> (F', C, H, W).

        Args:
            x: Frames, the same for every branch of guidance where there are fewer than `frames`.
            keys: Of each block, for F' frames.
            frames: F', if it is more than F.
        """
        height, width = x.shape[2:]
        tokens = self.proj_in(to_tokens(self.norm(x)))
        for block, its_keys in zip(self.transformer_blocks, keys, strict=True):
            tokens = block(tokens, its_keys, frames or len(x))
        tokens = self.proj_out(tokens)
        tokens.unflatten(0, (-1, len(x))).add_(to_tokens(x))
        return to_image(tokens, height, width)

    def keys(self, text: Tensor, image: Tensor | None) -> tuple[Keys, ...]:
        """Keys and values of the context for each block; see `CrossAttention.keys`."""
        crossings = (block.get_submodule("attn2") for block in self.transformer_blocks)
        return tuple(one.keys(text, image) for one in crossings if isinstance(one, CrossAttention))


class TemporalTransformer(nn.Module):
    """Each pixel's frames as tokens: (B·T, C, H, W) -> the same. The norm before it is over the whole clip.

    Args:
        channels: C.
        heads: Number of heads.
        head_width: Channels of a head; the width inside is ``heads * head_width``.
        depth: Blocks behind one another.
        pointwise: Whether the way in and out is stored as convolutions (the transformer after the first layer).
    """

    def __init__(self, channels: int, heads: int, head_width: int, *, depth: int = 1, pointwise: bool = False) -> None:
        super().__init__()
        width = heads * head_width
        project = Pointwise if pointwise else nn.Linear
        self.norm = GroupNorm(channels, EPS)
        self.proj_in = project(channels, width)
        self.transformer_blocks = nn.ModuleList(TemporalBlock(width, heads) for _ in range(depth))
        self.proj_out = project(width, channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        height, width = x.shape[2:]
        clip = to_clip(x, frames)
        tokens = self.proj_in(self.norm(clip).permute(0, 2, 3, 1))
        for block in self.transformer_blocks:
            tokens = block(tokens)
        tokens = self.proj_out(tokens).add_(clip.permute(0, 2, 3, 1))
        return from_clip(tokens.permute(0, 3, 1, 2), height, width)
