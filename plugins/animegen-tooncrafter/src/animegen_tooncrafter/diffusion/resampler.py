"""The image projector: from the tokens of a CLIP image tower to sixteen tokens for each frame of the clip.

A perceiver resampler (Jaegle et al., ICML 2021; Alayrac et al., "Flamingo", 2022). Its tensors have the published
names, without ``image_proj_model.``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from animegen_torch.diffusion.attention import merge_heads, split_heads


@dataclass(frozen=True)
class ResamplerConfiguration:
    """Sizes; the defaults are those of the published 512 model, under their published names.

    Attributes:
        dim: Width of queries and tokens inside.
        num_queries: Tokens for each frame.
        embedding_dim: Channels of the image tokens that come in.
        output_dim: Channels of the tokens that go out.
        ff_mult: Width of the feed-forward networks, in `dim`.
        video_length: Frames.
    """

    dim: int = 1024
    depth: int = 4
    dim_head: int = 64
    heads: int = 12
    num_queries: int = 16
    embedding_dim: int = 1280
    output_dim: int = 1024
    ff_mult: int = 4
    video_length: int = 16


class QueryAttention(nn.Module):
    """Queries attend to the image's tokens and to themselves."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, heads * head_width, bias=False)
        self.to_kv = nn.Linear(width, 2 * heads * head_width, bias=False)
        self.to_out = nn.Linear(heads * head_width, width, bias=False)

    def forward(self, image: Tensor, queries: Tensor) -> Tensor:
        """(B, L, C) and (B, Q, C) -> (B, Q, C)."""
        image, queries = self.norm1(image), self.norm2(queries)
        k, v = self.to_kv(torch.cat((image, queries), 1)).chunk(2, -1)
        q, k, v = (split_heads(x, self.heads) for x in (self.to_q(queries), k, v))
        mixed = scaled_dot_product_attention(q, k, v)
        result: Tensor = self.to_out(merge_heads(mixed))
        return result


class Layer(nn.ModuleList):
    """Attention, then a feed-forward network, each with a residual."""

    def forward(self, image: Tensor, queries: Tensor) -> Tensor:
        attention, feed_forward = self
        queries = attention(image, queries) + queries
        result: Tensor = feed_forward(queries) + queries
        return result


class Resampler(nn.Module):
    """(B, L, 1280) image tokens -> (B, 16 · frames, 1024); token ``16 f + j`` is the j-th of frame f."""

    def __init__(self, configuration: ResamplerConfiguration | None = None) -> None:
        super().__init__()
        self.configuration = c = configuration or ResamplerConfiguration()
        count = c.num_queries * c.video_length
        self.latents = nn.Parameter(torch.randn(1, count, c.dim) / c.dim**0.5)
        self.proj_in = nn.Linear(c.embedding_dim, c.dim)
        self.proj_out = nn.Linear(c.dim, c.output_dim)
        self.norm_out = nn.LayerNorm(c.output_dim)
        self.layers = nn.ModuleList(
            Layer((QueryAttention(c.dim, c.heads, c.dim_head), _feed_forward(c.dim, c.ff_mult * c.dim)))
            for _ in range(c.depth)
        )

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.proj_in(image.to(self.latents.dtype))
        queries = self.latents.expand(len(tokens), -1, -1)
        for layer in self.layers:
            queries = layer(tokens, queries)
        result: Tensor = self.norm_out(self.proj_out(queries))
        return result


def _feed_forward(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, hidden, bias=False), nn.GELU(), nn.Linear(hidden, width, bias=False)
    )
