"""SEINE as plainly as torch can say it: the yardstick that `benchmarks/seine.py` measures ours against.

Tensors are (B, C, T, H, W), each convolution runs on the frames folded into the batch, attention is two products around
a softmax with whole tables of scores, the text is repeated for every frame and its keys are computed in every call.
The autoencoder encodes all frames, though all but two are the same, and decodes all at once. Both take the tensors of
the published files by their names and nothing else from the plugin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

State = Mapping[str, Tensor]


class PlainUNet:
    """The network.

    Args:
        state: Its tensors.
        widths, layers, heads, groups: Its sizes.
    """

    def __init__(self, state: State, widths: tuple[int, ...], layers: int, heads: int, groups: int) -> None:
        self.state, self.widths, self.layers, self.heads, self.groups = state, widths, layers, heads, groups

    @torch.no_grad()
    def __call__(self, x: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        """(B, 9, T, h, w), (B,) and (B, L, W) -> the noise, (B, 4, T, h, w)."""
        half = self.widths[0] // 2
        angles = timesteps.float()[:, None] * torch.exp(-math.log(10000.0) * torch.arange(half) / half)
        time = torch.cat((angles.cos(), angles.sin()), 1)
        time = self._linear(functional.silu(self._linear(time, "time_embedding.linear_1")), "time_embedding.linear_2")
        x = self._conv(x, "conv_in")
        skips = [x]
        last = len(self.widths) - 1
        for level in range(last + 1):
            for layer in range(self.layers):
                name = f"down_blocks.{level}"
                x = self._res(x, time, f"{name}.resnets.{layer}")
                x = self._transformer(x, text, f"{name}.attentions.{layer}") if level < last else x
                skips.append(x)
            if level < last:
                x = self._conv(x, f"down_blocks.{level}.downsamplers.0.conv", stride=2)
                skips.append(x)
        x = self._res(x, time, "mid_block.resnets.0")
        x = self._transformer(x, text, "mid_block.attentions.0")
        x = self._res(x, time, "mid_block.resnets.1")
        for level in range(last + 1):
            for layer in range(self.layers + 1):
                name = f"up_blocks.{level}"
                x = self._res(torch.cat((x, skips.pop()), 1), time, f"{name}.resnets.{layer}")
                x = self._transformer(x, text, f"{name}.attentions.{layer}") if level else x
            if level < last:
                x = functional.interpolate(x, size=(x.shape[2], *skips[-1].shape[3:]), mode="nearest")
                x = self._conv(x, f"up_blocks.{level}.upsamplers.0.conv")
        return self._conv(functional.silu(self._norm(x, "conv_norm_out", 1e-5)), "conv_out")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def _norm(self, x: Tensor, name: str, eps: float) -> Tensor:
        return functional.group_norm(x, self.groups, self.state[f"{name}.weight"], self.state[f"{name}.bias"], eps)

    def _conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        frames = x.transpose(1, 2).flatten(0, 1)
        y = functional.conv2d(frames, weight, self.state[f"{name}.bias"], stride, weight.shape[-1] // 2)
        return y.unflatten(0, (x.shape[0], -1)).transpose(1, 2)

    def _res(self, x: Tensor, time: Tensor, name: str) -> Tensor:
        y = self._conv(functional.silu(self._norm(x, f"{name}.norm1", 1e-5)), f"{name}.conv1")
        y = y + self._linear(functional.silu(time), f"{name}.time_emb_proj")[:, :, None, None, None]
        y = self._conv(functional.silu(self._norm(y, f"{name}.norm2", 1e-5)), f"{name}.conv2")
        return y + (self._conv(x, f"{name}.conv_shortcut") if f"{name}.conv_shortcut.weight" in self.state else x)

    def _transformer(self, x: Tensor, text: Tensor, name: str) -> Tensor:
        b, c, t, h, w = x.shape
        frames = x.transpose(1, 2).flatten(0, 1)
        y = self._norm(frames, f"{name}.norm", 1e-6)
        y = functional.conv2d(y, self.state[f"{name}.proj_in.weight"], self.state[f"{name}.proj_in.bias"])
        y = y.flatten(2).transpose(1, 2)
        block = f"{name}.transformer_blocks.0"
        y = y + self._attend(self._layer_norm(y, f"{block}.norm1"), None, f"{block}.attn1")
        words = text.repeat_interleave(t, 0)
        y = y + self._attend(self._layer_norm(y, f"{block}.norm2"), words, f"{block}.attn2")
        pixels = self._layer_norm(y, f"{block}.norm_temp").view(b, t, h * w, c).transpose(1, 2).flatten(0, 1)
        mixed = self._attend(pixels, None, f"{block}.attn_temp", over_time=True)
        y = y + mixed.view(b, h * w, t, c).transpose(1, 2).reshape(y.shape)
        value, gate = self._linear(self._layer_norm(y, f"{block}.norm3"), f"{block}.ff.net.0.proj").chunk(2, -1)
        y = y + self._linear(value * functional.gelu(gate), f"{block}.ff.net.2")
        y = y.transpose(1, 2).reshape(frames.shape)
        y = functional.conv2d(y, self.state[f"{name}.proj_out.weight"], self.state[f"{name}.proj_out.bias"])
        return (y + frames).view(b, t, c, h, w).transpose(1, 2)

    def _layer_norm(self, x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _attend(self, x: Tensor, other: Tensor | None, name: str, *, over_time: bool = False) -> Tensor:
        other = x if other is None else other

        def heads(y: Tensor) -> Tensor:
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        q = heads(self._linear(x, f"{name}.to_q"))
        k, v = (heads(self._linear(other, f"{name}.to_{one}")) for one in "kv")
        q = q * q.shape[-1] ** -0.5
        if over_time:
            scores = turned(q) @ turned(k).mT + bias(
                self.state[f"{name}.time_rel_pos_bias.relative_attention_bias.weight"], x.shape[1]
            )
        else:
            scores = q @ k.mT
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self._linear(mixed, f"{name}.to_out.0")


def turned(x: Tensor) -> Tensor:
    """(..., T, D) with the first 32 channels turned, neighbours together, by rotary positions."""
    angles = torch.arange(x.shape[-2])[:, None] * 10000.0 ** -(torch.arange(0, 32, 2) / 32)
    sin, cos = angles.sin().repeat_interleave(2, -1), angles.cos().repeat_interleave(2, -1)
    head, rest = x[..., :32], x[..., 32:]
    even, odd = head[..., 0::2], head[..., 1::2]
    across = torch.stack((-odd, even), -1).flatten(-2)
    return torch.cat((head * cos + across * sin, rest), -1)


def bias(table: Tensor, frames: int) -> Tensor:
    """(32, heads) -> (heads, T, T): buckets of T5 for distances of up to 32."""
    rows = []
    for query in range(frames):
        row = []
        for key in range(frames):
            far = abs(key - query)
            if far >= 8:
                far = min(15, 8 + int(math.log(far / 8) / math.log(32 / 8) * 8))
            row.append(far + (16 if key > query else 0))
        rows.append(row)
    return table[torch.tensor(rows)].permute(2, 0, 1)


class PlainAutoencoder:
    """Stable Diffusion's autoencoder, under the names of latent diffusion."""

    def __init__(self, state: State, blocks: int) -> None:
        self.state, self.blocks = state, blocks

    @torch.no_grad()
    def encode(self, pictures: Tensor, noise: Tensor) -> Tensor:
        """(N, 3, H, W) -> a sample of each posterior, scaled, (N, 4, h, w)."""
        x = self._conv(pictures, "encoder.conv_in")
        for level in range(4):
            for block in range(self.blocks):
                x = self._res(x, f"encoder.down.{level}.block.{block}")
            if level < 3:
                x = self._conv(
                    functional.pad(x, (0, 1, 0, 1)), f"encoder.down.{level}.downsample.conv", stride=2, padding=0
                )
        x = self._conv(
            functional.silu(self._norm(self._middle(x, "encoder.mid"), "encoder.norm_out")), "encoder.conv_out"
        )
        mean, logvar = self._conv(x, "quant_conv").chunk(2, 1)
        return 0.18215 * (mean + torch.exp(0.5 * logvar.clamp(-30, 20)) * noise)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """(N, 4, h, w) -> (N, 3, H, W)."""
        x = self._conv(self._conv(latents / 0.18215, "post_quant_conv"), "decoder.conv_in")
        x = self._middle(x, "decoder.mid")
        for level in reversed(range(4)):
            for block in range(self.blocks + 1):
                x = self._res(x, f"decoder.up.{level}.block.{block}")
            if level:
                x = self._conv(functional.interpolate(x, scale_factor=2.0), f"decoder.up.{level}.upsample.conv")
        return self._conv(functional.silu(self._norm(x, "decoder.norm_out")), "decoder.conv_out")

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return functional.group_norm(x, 32, self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1e-6)

    def _conv(self, x: Tensor, name: str, stride: int = 1, padding: int | None = None) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return functional.conv2d(
            x, weight, self.state[f"{name}.bias"], stride, weight.shape[-1] // 2 if padding is None else padding
        )

    def _res(self, x: Tensor, name: str) -> Tensor:
        y = self._conv(functional.silu(self._norm(x, f"{name}.norm1")), f"{name}.conv1")
        y = self._conv(functional.silu(self._norm(y, f"{name}.norm2")), f"{name}.conv2")
        return y + (self._conv(x, f"{name}.nin_shortcut") if f"{name}.nin_shortcut.weight" in self.state else x)

    def _middle(self, x: Tensor, name: str) -> Tensor:
        x = self._res(x, f"{name}.block_1")
        y = self._norm(x, f"{name}.attn_1.norm")
        q, k, v = (self._conv(y, f"{name}.attn_1.{one}").flatten(2).transpose(1, 2) for one in "qkv")
        scores = (q @ k.mT) * q.shape[-1] ** -0.5
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        return self._res(x + self._conv(y, f"{name}.attn_1.proj_out"), f"{name}.block_2")
