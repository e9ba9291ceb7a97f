"""Layers that U-Nets for clips are built of, and the one layout they share.

Activations are (B·T, C, H, W) in channels-last memory, frames of a clip one after the other: then a pixel's channels
lie together, and the tokens of attention over space, (B·T, H·W, C), the clip that a temporal convolution sees,
(B, C, T, H·W), and the rows of a linear layer are all views of the same memory. Nothing is copied between them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, group_norm, interpolate, linear

from animegen_torch import winograd

GROUPS = 32
HIDDEN_BYTES = {"cpu": 8 << 20}
"""Largest hidden layer of a feed-forward network that is kept at once, where that is not the default."""
HIDDEN_BYTES_DEFAULT = 256 << 20


def to_tokens(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H·W, C)."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def to_image(tokens: Tensor, height: int, width: int) -> Tensor:
    """(N, H·W, C) -> (N, C, H, W), channels last."""
    return tokens.view(len(tokens), height, width, -1).permute(0, 3, 1, 2)


def to_clip(x: Tensor, frames: int) -> Tensor:
    """(B·T, C, H, W) -> (B, C, T, H·W), channels last."""
    n, channels, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(n // frames, frames, height * width, channels).permute(0, 3, 1, 2)


def from_clip(clip: Tensor, height: int, width: int) -> Tensor:
    """(B, C, T, H·W) -> (B·T, C, H, W), channels last."""
    b, channels, frames, _ = clip.shape
    return clip.permute(0, 2, 3, 1).reshape(b * frames, height, width, channels).permute(0, 3, 1, 2)


def dtype_of(layer: nn.Module) -> torch.dtype:
    """The type that the parameters of `layer` have."""
    return next(layer.parameters()).dtype


def for_each_branch(x: Tensor, frames: int) -> Tensor:
    """What is the same for every branch of guidance, (F, ...), once for each of them, (frames, ...)."""
    return x if len(x) == frames else torch.cat([x] * (frames // len(x)))


class GroupNorm(nn.GroupNorm):
    """Group norm of (N, C, H, W) that keeps channels-last memory.

    Statistics and arithmetic are float32 whatever the type of the input; only the result is rounded to it.
    """

    def __init__(self, channels: int, eps: float = 1e-5, *, groups: int = GROUPS) -> None:
        super().__init__(groups, channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        y = group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        # CUDA's kernel answers in the other layout, and convolutions would go on in it.
        return y.contiguous(memory_format=torch.channels_last) if x.stride(1) == 1 else y


class SiLU(nn.Module):
    """x · sigmoid(x), written over its input: it always follows a norm, whose output nobody else needs."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(x, inplace=True)


class Conv3x3(nn.Conv2d):
    """A 3×3 convolution of (N, C, H, W) with zeros around; on a processor with fewer products where that is faster."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if winograd.pays(x, self.weight):
            return winograd.three_rows(x, self.weight, self.bias)
        return super().forward(x)


class TemporalConv(nn.Conv3d):
    """A convolution over three frames of (B, C, T, H·W), zero outside the clip.

    The published kernel is (C_out, C_in, 3, 1, 1). Over (T, H·W) it is two-dimensional, which libraries run faster.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, clip: Tensor) -> Tensor:
        weight = self.weight.squeeze(-1)
        if winograd.pays(clip, weight):
            return winograd.three_rows(clip, weight, self.bias)
        return conv2d(clip, weight, self.bias, padding=(1, 0))


class Pointwise(nn.Conv1d):
    """A linear layer on tokens that is stored as a convolution with kernel 1."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return linear(tokens, self.weight.squeeze(-1), self.bias)


class GEGLU(nn.Module):
    """A linear layer whose second half, through GELU, gates its first half (Shazeer, 2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        return gelu(gate).mul_(value)


class FeedForward(nn.Module):
    """Two linear layers around GEGLU, four times as wide in between; (..., C) -> (..., C).

    Without gradients the rows go through in pieces: every row is its own, so the result is the same, and the widest
    tensor of the network (eight times its input) is never there as a whole. On a processor it then stays in the cache.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))
        self.pieces = True

    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        rows = x.reshape(-1, width)
        limit = HIDDEN_BYTES.get(x.device.type, HIDDEN_BYTES_DEFAULT)
        at_once = max(256, limit // (8 * width * x.element_size()))
        if not self.pieces or torch.is_grad_enabled() or len(rows) <= at_once:
            return self._whole(x)
        out = torch.empty_like(rows)
        for start in range(0, len(rows), at_once):
            out[start : start + at_once] = self._whole(rows[start : start + at_once])
        return out.view(x.shape)

    def _whole(self, x: Tensor) -> Tensor:
        result: Tensor = self.net(x)
        return result


class Downsample(nn.Module):
    """Half the height and width by a convolution with stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.op(x)
        return result


class Upsample(nn.Module):
    """Twice the height and width, or nearly: the nearest pixel, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(N, C, H, W) -> (N, C, 2H, 2W), or of the `size` (height, width) that is given."""
        if size is None:
            size = 2 * x.shape[2], 2 * x.shape[3]
        result: Tensor = self.conv(interpolate(x, size, mode="nearest"))
        return result
