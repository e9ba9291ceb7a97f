"""The U-Net of ToonCrafter in the most obvious way, to measure the real one against: the same maths, nothing saved.

One function that walks over the tensors of a state by their published names. Channels before pixels, three-dimensional
convolutions over time, the context repeated for every frame and projected in every call, attention as softmax of a
table of all pairs, feed-forward networks in one piece.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from animegen_tooncrafter.diffusion.architecture import UNetConfiguration, input_plan, output_plan

State = Mapping[str, Tensor]


class PlainUNet:
    """``net(x, timesteps, tokens, fs)`` as `animegen_tooncrafter.diffusion.unet.UNet` is called with bare tokens."""

    def __init__(self, configuration: UNetConfiguration, state: State) -> None:
        self.c = configuration
        self.state = state

    def linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return functional.conv2d(x, weight, self.state[f"{name}.bias"], stride=stride, padding=weight.shape[-1] // 2)

    def norm(self, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
        return functional.group_norm(x, 32, self.state[f"{name}.weight"], self.state[f"{name}.bias"], eps)

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def sinusoids(self, numbers: Tensor) -> Tensor:
        half = self.c.model_channels // 2
        frequencies = torch.exp(-torch.log(torch.tensor(10000.0)) * torch.arange(half) / half)
        angles = numbers[:, None].float() * frequencies[None]
        return torch.cat([torch.cos(angles), torch.sin(angles)], dim=1)

    def embed(self, name: str, numbers: Tensor) -> Tensor:
        return self.linear(f"{name}.2", functional.silu(self.linear(f"{name}.0", self.sinusoids(numbers))))

    def softmax_attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        def split(x: Tensor) -> Tensor:
            b, n, c = x.shape
            return x.reshape(b, n, heads, c // heads).permute(0, 2, 1, 3).reshape(b * heads, n, c // heads)

        b, n, c = q.shape
        q, k, v = split(q), split(k), split(v)
        weights = torch.softmax(torch.einsum("bid,bjd->bij", q, k) * (c // heads) ** -0.5, dim=-1)
        out = torch.einsum("bij,bjd->bid", weights, v)
        return out.reshape(b, heads, n, c // heads).permute(0, 2, 1, 3).reshape(b, n, c)

    def attention(self, name: str, x: Tensor, context: Tensor | None, heads: int) -> Tensor:
        q = self.linear(f"{name}.to_q", x)
        if context is None:
            context = x
        image = None
        if f"{name}.to_k_ip.weight" in self.state:
            context, image = context[:, :77], context[:, 77:]
        out = self.softmax_attention(
            q, self.linear(f"{name}.to_k", context), self.linear(f"{name}.to_v", context), heads
        )
        if image is not None:
            k, v = self.linear(f"{name}.to_k_ip", image), self.linear(f"{name}.to_v_ip", image)
            out = out + self.softmax_attention(q, k, v, heads)
        return self.linear(f"{name}.to_out.0", out)

    def block(self, name: str, x: Tensor, context: Tensor | None, heads: int) -> Tensor:
        x = self.attention(f"{name}.attn1", self.layer_norm(f"{name}.norm1", x), None, heads) + x
        x = self.attention(f"{name}.attn2", self.layer_norm(f"{name}.norm2", x), context, heads) + x
        value, gate = self.linear(f"{name}.ff.net.0.proj", self.layer_norm(f"{name}.norm3", x)).chunk(2, dim=-1)
        return self.linear(f"{name}.ff.net.2", value * functional.gelu(gate)) + x

    def spatial(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = self.norm(f"{name}.norm", x, 1e-6).permute(0, 2, 3, 1).reshape(n, h * w, c).contiguous()
        y = self.linear(f"{name}.proj_in", y)
        y = self.block(f"{name}.transformer_blocks.0", y, context, self.c.heads(c))
        y = self.linear(f"{name}.proj_out", y)
        return y.reshape(n, h, w, c).permute(0, 3, 1, 2).contiguous() + x

    def temporal(self, name: str, x: Tensor, frames: int) -> Tensor:
        clip = self.unfold(x, frames)
        b, c, t, h, w = clip.shape
        y = self.norm(f"{name}.norm", clip, 1e-6).permute(0, 3, 4, 1, 2).reshape(b * h * w, c, t).contiguous()
        weight_in, weight_out = self.state[f"{name}.proj_in.weight"], self.state[f"{name}.proj_out.weight"]
        pointwise = weight_in.ndim == 3
        if pointwise:
            y = functional.conv1d(y, weight_in, self.state[f"{name}.proj_in.bias"]).permute(0, 2, 1).contiguous()
        else:
            y = self.linear(f"{name}.proj_in", y.permute(0, 2, 1).contiguous())
        heads = 8 if pointwise else self.c.heads(c)
        y = self.block(f"{name}.transformer_blocks.0", y, None, heads)
        if pointwise:
            y = functional.conv1d(y.permute(0, 2, 1).contiguous(), weight_out, self.state[f"{name}.proj_out.bias"])
        else:
            y = self.linear(f"{name}.proj_out", y).permute(0, 2, 1).contiguous()
        return self.fold(y.reshape(b, h, w, c, t).permute(0, 3, 4, 1, 2).contiguous() + clip)

    def res(self, name: str, x: Tensor, embedding: Tensor, frames: int) -> Tensor:
        y = self.conv(f"{name}.in_layers.2", functional.silu(self.norm(f"{name}.in_layers.0", x)))
        y = y + self.linear(f"{name}.emb_layers.1", functional.silu(embedding))[:, :, None, None]
        y = self.conv(f"{name}.out_layers.3", functional.silu(self.norm(f"{name}.out_layers.0", y)))
        if f"{name}.skip_connection.weight" in self.state:
            x = self.conv(f"{name}.skip_connection", x)
        clip = z = self.unfold(x + y, frames)
        for stage, layer in (("conv1", 2), ("conv2", 3), ("conv3", 3), ("conv4", 3)):
            here = f"{name}.temopral_conv.{stage}"
            z = functional.silu(self.norm(f"{here}.0", z))
            z = functional.conv3d(
                z, self.state[f"{here}.{layer}.weight"], self.state[f"{here}.{layer}.bias"], padding=(1, 0, 0)
            )
        return self.fold(clip + z)

    def unfold(self, x: Tensor, frames: int) -> Tensor:
        n, c, h, w = x.shape
        return x.reshape(n // frames, frames, c, h, w).permute(0, 2, 1, 3, 4).contiguous()

    def fold(self, clip: Tensor) -> Tensor:
        b, c, t, h, w = clip.shape
        return clip.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w).contiguous()

    def __call__(self, x: Tensor, timesteps: Tensor, tokens: Tensor, fs: Tensor) -> Tensor:
        b, _, frames, _, _ = x.shape
        embedding = (self.embed("time_embed", timesteps) + self.embed("fps_embedding", fs)).repeat_interleave(frames, 0)
        text, image = tokens[:, :77].repeat_interleave(frames, 0), tokens[:, 77:]
        if image.shape[1] == 16 * frames:
            image = image.reshape(b * frames, 16, -1)
        else:
            image = image.repeat_interleave(frames, 0)
        context = torch.cat([text, image], dim=1)
        h = self.fold(x)
        skips = []
        for index, plan in enumerate(input_plan(self.c)):
            name = f"input_blocks.{index}"
            if plan.kind == "conv":
                h = self.temporal("init_attn.0", self.conv(f"{name}.0", h), frames)
            elif plan.kind == "down":
                h = self.conv(f"{name}.0.op", h, stride=2)
            else:
                h = self.layers(name, plan.attention, h, embedding, context, frames)
            skips.append(h)
        h = self.layers("middle_block", True, h, embedding, context, frames)
        h = self.res("middle_block.3", h, embedding, frames)
        for index, plan in enumerate(output_plan(self.c)):
            name = f"output_blocks.{index}"
            h = self.layers(name, plan.attention, torch.cat([h, skips.pop()], dim=1), embedding, context, frames)
            if plan.up:
                h = self.conv(f"{name}.{3 if plan.attention else 1}.conv", functional.interpolate(h, scale_factor=2))
        h = self.conv("out.2", functional.silu(self.norm("out.0", h)))
        return self.unfold(h, frames)

    def layers(self, name: str, attention: bool, h: Tensor, embedding: Tensor, context: Tensor, frames: int) -> Tensor:
        h = self.res(f"{name}.0", h, embedding, frames)
        if attention:
            h = self.temporal(f"{name}.2", self.spatial(f"{name}.1", h, context), frames)
        return h
