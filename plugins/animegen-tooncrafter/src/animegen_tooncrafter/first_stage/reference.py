"""How both keyframes reach the decoder: their features are added to the outer frames, or attended to by every frame.

Xing et al., "ToonCrafter: Generative Cartoon Interpolation" (2024), dual-reference-based 3D decoder: attention at the
two smaller sizes, where it is affordable, addition at the two larger ones and behind the last norm.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from animegen_torch.diffusion.autoencoder.layers import Conv2d, GroupNorm, half_sum, shrink

HEADS = 8
HEAD_WIDTH = 64

Reference = tuple[Tensor, Tensor]
"""What one layer has made of both keyframes' features; see `Combiner.prepare` and `ReferenceAttention.prepare`."""


class Combiner(nn.Module):
    """Adds a 1×1 convolution of the first keyframe's features to the first frame, and of the last's to the last."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 1)

    def prepare(self, features: Tensor) -> Reference:
        """What is added: (1, C, H, W) for each end, from the keyframes' features (2, C, H, W)."""
        first, last = self.conv(features).to(features.dtype).split(1)
        return first, last

    def forward(self, x: Tensor, reference: Reference, start: int, frames: int) -> Tensor:
        """Add to `x`, (N, C, H, W), which is frames `start` to `start` + N of `frames`, in place."""
        for end, added in ((0, reference[0]), (frames - 1, reference[1])):
            if start <= end < start + len(x):
                x[end - start] += added[0]
        return x


class ReferenceAttention(nn.Module):
    """Every pixel of every frame looks at all pixels of both keyframes, beside a skip.

    Keys and values are the same for all frames: they are computed once per clip and never copied. Queries of several
    frames stand in one row, so that one call of fused attention serves them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels)
        inner = HEADS * HEAD_WIDTH
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_k = nn.Linear(channels, inner, bias=False)
        self.to_v = nn.Linear(channels, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, channels), nn.Identity())

    def prepare(self, features: Tensor) -> Reference:
        """Keys and values, (1, 8, 2·H·W, 64) in the parameters' type, from the features (2, C, H, W)."""
        tokens = features.flatten(2).transpose(1, 2).flatten(0, 1)[None].to(self.to_k.weight.dtype)
        return _heads(self.to_k(tokens)), _heads(self.to_v(tokens))

    def forward(self, x: Tensor, reference: Reference, start: int, frames: int) -> Tensor:
        """(N, C, H, W) float32 -> the same shape; which frames they are makes no difference."""
        dtype = self.to_q.weight.dtype
        count, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2).reshape(1, -1, channels)
        keys, values = reference
        h = scaled_dot_product_attention(_heads(self.to_q(tokens.to(dtype))), keys, values)
        h = h.transpose(1, 2).reshape(count, height * width, -1)
        out = self.to_out[0]
        assert isinstance(out, nn.Linear)
        h = linear(shrink(h.float(), dtype), out.weight).transpose(1, 2).reshape(x.shape)
        return half_sum(h, out.bias, dtype).add_(x)


class References:
    """What all five layers have made of the keyframes' features: made once, used by both passes of the decoder.

    Args:
        layers: ``attn_refinement`` of the decoder.
        features: The encoder's five features of both keyframes, each (2, C, H, W).
    """

    def __init__(self, layers: Sequence[nn.Module], features: Sequence[Tensor]) -> None:
        if len(features) != len(layers):
            raise ValueError(f"{len(layers)} features of the keyframes are needed, not {len(features)}")
        self._layers = layers
        with torch.no_grad():
            self._prepared: list[Reference] = [
                layer.prepare(one)  # type: ignore[operator]
                for layer, one in zip(layers, features, strict=True)
            ]

    def inject(self, index: int, x: Tensor, start: int, frames: int) -> Tensor:
        """Frames `start` ... of `frames`, (N, C, H, W), behind layer `index`."""
        result: Tensor = self._layers[index](x, self._prepared[index], start, frames)
        return result


def _heads(tokens: Tensor) -> Tensor:
    """(1, L, 512) -> (1, 8, L, 64)."""
    return tokens.view(*tokens.shape[:2], HEADS, HEAD_WIDTH).transpose(1, 2)
