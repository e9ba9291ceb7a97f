"""Attention over space, over time, and from pixels to the text and image tokens of the context.

Always through torch's fused kernel, whose memory grows with the number of tokens, not with its square. The one
exception is attention over a few frames on a processor, where the table of weights (T × T for each pixel) is smaller
than the queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

GRID_LIMIT = 32768
"""CUDA kernels take no more than 65535 heads in a call; attention over time has one for each pixel and head."""


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, L, C) -> (B, heads, L, C / heads), a view."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, heads, L, D) -> (B, L, heads · D)."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Attention of tokens to one another; the published tensor names.

    Args:
        width: Channels of the tokens.
        heads: Number of heads; each has ``width / heads`` channels.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def over_space(self, tokens: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, C): the L tokens of each of N frames attend to one another."""
        packed = self.packed_weight()
        if packed is None:
            q, k, v = self.to_q(tokens), self.to_k(tokens), self.to_v(tokens)
        else:
            q, k, v = nn.functional.linear(tokens, packed).chunk(3, -1)
        q, k, v = (split_heads(x, self.heads) for x in (q, k, v))
        mixed = scaled_dot_product_attention(q, k, v)
        result: Tensor = self.to_out(merge_heads(mixed))
        return result

    def over_time(
        self, tokens: Tensor, *, turn: Callable[[Tensor], Tensor] | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """(B, T, L, C) -> (B, T, L, C): the T tokens at each of L places attend to one another.

        Places and heads are one axis here (place-major), so that the frames need not be brought together in memory.

        Args:
            tokens: What attends.
            turn: What becomes of queries and of keys, (B, T, L·heads, D), before they meet; it may write over them.
            bias: What is added to the scores, (heads, T, T).
        """
        shape = *tokens.shape[:2], tokens.shape[2] * self.heads, -1
        packed = self.packed_weight()
        if packed is None or tokens.device.type == "cpu":  # on a processor three products are as fast as one
            projected = (self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        else:
            projected = project_packed(tokens, packed)
        q, k, v = (x.reshape(shape) for x in projected)
        if turn is not None:
            q, k = turn(q), turn(k)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        result: Tensor = self.to_out(attend_over_time(q, k, v, bias).transpose(1, 2).reshape(tokens.shape))
        return result

    def pack(self) -> None:
        """Lay the weights of queries, keys and values behind one another in memory: one product makes all three.

        Names, shapes and values stay; each weight is a view of the common memory.
        """
        layers = (self.to_q, self.to_k, self.to_v)
        together = torch.cat([layer.weight.detach() for layer in layers])
        for layer, weight in zip(layers, together.chunk(3), strict=True):
            layer.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)

    def packed_weight(self) -> Tensor | None:
        """(3C, C) over all three weights, if they do lie behind one another, and may be read around their layers."""
        first = self.to_q.weight
        if torch.is_grad_enabled() or first.is_meta:  # a gradient has to reach all three
            return None
        step = first.numel() * first.element_size()
        for index, layer in enumerate((self.to_q, self.to_k, self.to_v)):
            weight = layer.weight
            if hasattr(layer, "_hf_hook") or weight.dtype != first.dtype or weight.device != first.device:
                return None  # accelerate brings such a layer's weight when the layer is called
            if weight.data_ptr() != first.data_ptr() + index * step or not weight.is_contiguous():
                return None
        if first.untyped_storage().data_ptr() != self.to_v.weight.untyped_storage().data_ptr():
            return None
        width = first.shape[1]
        return first.as_strided((3 * first.shape[0], width), (width, 1))


def project_packed(tokens: Tensor, packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of (..., C), each contiguous, by one batched product with the weights (3C, C)."""
    rows = tokens.reshape(1, -1, tokens.shape[-1]).expand(3, -1, -1)
    q, k, v = torch.bmm(rows, packed.view(3, -1, packed.shape[1]).mT)
    return q, k, v


def attend_over_time(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Softmax attention of (B, N, T, D) over T, for many N and small T.

    With a `bias` (heads, T, T) on the scores N is places · heads.
    """
    if q.device.type == "cpu" and q.dtype == torch.float32 and q.shape[2] <= 2 * q.shape[3]:
        scale = float(q.shape[3] ** -0.5)
        mixed = [
            torch.bmm(torch.softmax(_biased(torch.bmm(a * scale, b.mT), bias), -1), c)
            for a, b, c in zip(q, k, v, strict=True)
        ]
        return torch.stack([one.transpose(0, 1) for one in mixed]).transpose(1, 2)  # frames outside, as they came
    if bias is not None:
        return _attend_with_bias(q, k, v, bias)
    if q.shape[1] <= GRID_LIMIT:
        return scaled_dot_product_attention(q, k, v)
    pieces = zip(*(torch.split(x, GRID_LIMIT, 1) for x in (q, k, v)), strict=True)
    return torch.cat([scaled_dot_product_attention(a, b, c) for a, b, c in pieces], 1)


def _biased(scores: Tensor, bias: Tensor | None) -> Tensor:
    """Scores (places · heads, T, T) with the bias of their head."""
    if bias is None:
        return scores
    together = scores.view(-1, *bias.shape)
    return (together + bias if torch.is_grad_enabled() else together.add_(bias)).view(scores.shape)


def _attend_with_bias(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """The same by the fused kernel, which takes a bias per head: places are its batch."""
    heads, mask = len(bias), bias.to(q.dtype)[None]
    samples = []
    for sample in zip(q, k, v, strict=True):
        pieces = zip(*(one.unflatten(0, (-1, heads)).split(GRID_LIMIT) for one in sample), strict=True)
        mixed = [scaled_dot_product_attention(a, b, c, attn_mask=mask) for a, b, c in pieces]
        samples.append(torch.cat(mixed).flatten(0, 1))
    return torch.stack(samples)


@dataclass(frozen=True)
class Keys:
    """Keys and values of one cross-attention for a whole clip.

    Attributes:
        text: Two of (B, heads, 77, D), the same for all frames of a sample and kept once.
        image: Two of (B, heads, L, D) for all frames, or (B·T, heads, 16, D), each frame its own; None without images.
    """

    text: tuple[Tensor, Tensor]
    image: tuple[Tensor, Tensor] | None

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them."""
        return self.text + (self.image or ())


class CrossAttention(nn.Module):
    """Attention of pixels to text tokens plus, with separate keys and values, to image tokens.

    The two results are added with equal weight (DynamiCrafter, section 3.1, without the learned scale).

    Args:
        width: Channels of the pixels.
        heads: Number of heads.
        context: Channels of the tokens.
        image: Whether there are keys and values for image tokens.
    """

    def __init__(self, width: int, heads: int, context: int, *, image: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))
        self.has_image = image
        if image:
            self.to_k_ip = nn.Linear(context, width, bias=False)
            self.to_v_ip = nn.Linear(context, width, bias=False)

    def keys(self, text: Tensor, image: Tensor | None) -> Keys:
        """Keys and values of text tokens (B, 77, W) and image tokens (B, L, W) or (B·T, 16, W)."""
        pair = split_heads(self.to_k(text), self.heads), split_heads(self.to_v(text), self.heads)
        if image is None or not self.has_image:
            return Keys(pair, None)
        return Keys(pair, (split_heads(self.to_k_ip(image), self.heads), split_heads(self.to_v_ip(image), self.heads)))

    def forward(self, tokens: Tensor, keys: Keys) -> Tensor:
        """(B·T, L, C) -> (B·T, L, C)."""
        q = self.to_q(tokens)
        mixed = self._attend(q, keys.text)
        if keys.image is not None:
            mixed = mixed + self._attend(q, keys.image)
        result: Tensor = self.to_out(mixed)
        return result

    def _attend(self, q: Tensor, pair: tuple[Tensor, Tensor]) -> Tensor:
        # Frames that share their keys are one long row of queries: no copy of the keys for each frame.
        folded = q.reshape(pair[0].shape[0], -1, q.shape[-1])
        return merge_heads(scaled_dot_product_attention(split_heads(folded, self.heads), pair[0], pair[1])).view(
            q.shape
        )
