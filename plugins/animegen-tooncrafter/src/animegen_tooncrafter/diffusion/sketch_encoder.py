"""The sketch encoder: from line drawings of some frames to residuals that steer the U-Net.

A ControlNet (Zhang et al., ICCV 2023) of the shape of Stable Diffusion 2.1 that sees each frame alone (ToonCrafter,
section 3.4). Its tensors have the names of the published file. The way it is used is a reconstruction by the community:
the authors published the weights without code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from animegen_tooncrafter.diffusion.architecture import BlockPlan, UNetConfiguration, input_plan
from animegen_tooncrafter.diffusion.control import Control
from animegen_tooncrafter.diffusion.resblock import ResBlock
from animegen_tooncrafter.diffusion.transformer import SpatialTransformer
from animegen_torch.diffusion.attention import Keys, SelfAttention
from animegen_torch.diffusion.context import Context
from animegen_torch.diffusion.embedding import sinusoids
from animegen_torch.diffusion.layers import Downsample, dtype_of

HINT_WIDTHS = (16, 16, 32, 32, 96, 96, 256)
"""Channels of the stem that brings a sketch to the size of a latent; every width that rises also halves the size."""
PUBLISHED = UNetConfiguration(in_channels=4, dropout=0.0)


class FrameBlock(nn.ModuleList):
    """Layers behind one another: (N, C, H, W) -> (N, C', H', W')."""

    def forward(self, x: Tensor, embedding: Tensor, keys: Sequence[Keys]) -> Tensor:
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, embedding, 1)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, keys)
            else:
                x = layer(x)
        return x


class SketchEncoder(nn.Module):
    """The network; `hint` and `prepare` are worked out once per clip, `forward` in each step."""

    def __init__(self, configuration: UNetConfiguration = PUBLISHED, hint_channels: int = 1) -> None:
        super().__init__()
        self.configuration = c = configuration
        width = c.model_channels
        self.channels = c.in_channels
        self.time_embed = nn.Sequential(nn.Linear(width, c.embedding), nn.SiLU(), nn.Linear(c.embedding, c.embedding))
        plan = input_plan(c)
        self.input_blocks = nn.ModuleList(self._block(one) for one in plan)
        self.zero_convs = nn.ModuleList(nn.Sequential(_zero(one.out_channels, 1)) for one in plan)
        self.input_hint_block = _stem(hint_channels, width)
        deepest = plan[-1].out_channels
        self.middle_block = FrameBlock(
            [self._res(deepest, deepest), self._spatial(deepest), self._res(deepest, deepest)]
        )
        self.middle_block_out = nn.Sequential(_zero(deepest, 1))

    def hint(self, sketches: Tensor) -> Tensor:
        """Features of sketches (N, 1, 8h, 8w): white lines on black, 0 to 1. Returns (N, C, h, w)."""
        x = sketches.to(self.dtype, memory_format=torch.channels_last)
        result: Tensor = self.input_hint_block(x)
        return result

    def prepare(self, tokens: Tensor) -> Context:
        """Keys and values for the tokens (B, L, W), text and image alike: each frame sees them all."""
        tokens = tokens.to(self.dtype)
        keys = {}
        for name, module in self.named_modules():
            if isinstance(module, SpatialTransformer):
                keys[name.rpartition(".")[0]] = module.keys(tokens, None)
        return Context(keys, tokens.shape[0], 1)

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Context, hint: Tensor, frames: Sequence[int], scale: float = 1.0
    ) -> Control:
        """Residuals for the frames that have a sketch.

        Args:
            x: Noisy latents of the whole clip, (B, 4, T, h, w), without keyframes.
            timesteps: (B,).
            context: From `prepare`.
            hint: From `hint`, one for each of `frames`; the same for all samples.
            frames: Which frames have a sketch, ascending, each once.
            scale: Factor of the residuals.
        """
        samples = x.shape[0]
        chosen = x[:, :, list(frames)].transpose(1, 2).flatten(0, 1)
        h = chosen.to(self.dtype, memory_format=torch.channels_last)
        kind = dtype_of(self.time_embed)
        embedding = self.time_embed(sinusoids(timesteps, self.configuration.model_channels).to(kind))
        skips = []
        for index, (block, zero) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = block(h, embedding, context.keys.get(f"input_blocks.{index}", ()))
            if index == 0:
                h = h + hint.repeat(samples, 1, 1, 1)
            skips.append(zero(h))
        h = self.middle_block(h, embedding, context.keys["middle_block"])
        return Control(tuple(frames), skips, self.middle_block_out(h), scale)

    @property
    def dtype(self) -> torch.dtype:
        """The type that all but the embedding of time is computed in."""
        return dtype_of(self.middle_block_out)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    def compute_in(self, dtype: torch.dtype) -> SketchEncoder:
        """Convert to `dtype` (in place), but leave the small layers that embed time in float32."""
        self.to(dtype)
        self.time_embed.float()
        return self

    def for_inference(self) -> SketchEncoder:
        """As `UNet.for_inference`."""
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                module.pack()
        return self

    def _block(self, plan: BlockPlan) -> FrameBlock:
        if plan.kind == "conv":
            return FrameBlock([nn.Conv2d(plan.channels, plan.out_channels, 3, padding=1)])
        if plan.kind == "down":
            return FrameBlock([Downsample(plan.channels)])
        layers: list[nn.Module] = [self._res(plan.channels, plan.out_channels)]
        if plan.attention:
            layers.append(self._spatial(plan.out_channels))
        return FrameBlock(layers)

    def _res(self, channels: int, out_channels: int) -> ResBlock:
        c = self.configuration
        return ResBlock(channels, out_channels, c.embedding, dropout=c.dropout, temporal=False)

    def _spatial(self, channels: int) -> SpatialTransformer:
        c = self.configuration
        return SpatialTransformer(channels, c.heads(channels), c.context_dim, image=False)


@dataclass(frozen=True)
class SketchGuide:
    """Sketches of one clip.

    Attributes:
        encoder: Ready for inference.
        hint: Of `SketchEncoder.hint`, one for each of `frames`.
        frames: Which frames have a sketch, ascending.
        scale: How strongly they steer; 0.6 is usual.
    """

    encoder: SketchEncoder
    hint: Tensor
    frames: tuple[int, ...]
    scale: float = 0.6

    @classmethod
    def of(cls, encoder: SketchEncoder, sketches: Mapping[int, Tensor], scale: float = 0.6) -> SketchGuide:
        """From sketches (1, 8h, 8w), white lines on black, 0 to 1, by the number of their frame (0 is the first)."""
        frames = tuple(sorted(sketches))
        if not frames:
            raise ValueError("there are no sketches")
        stacked = torch.stack([sketches[frame] for frame in frames]).to(encoder.device)
        with torch.inference_mode():
            return cls(encoder, encoder.hint(stacked), frames, scale)

    def prepare(self, tokens: Tensor) -> Context:
        """See `SketchEncoder.prepare`."""
        return self.encoder.prepare(tokens.to(self.encoder.device))

    def control(self, x: Tensor, timesteps: Tensor, context: Context) -> Control:
        """Residuals of one step, on the encoder's device; arguments are those of `SketchEncoder`, on any."""
        device = self.encoder.device
        control: Control = self.encoder(x.to(device), timesteps.to(device), context, self.hint, self.frames, self.scale)
        return control


def _stem(channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, width in enumerate(HINT_WIDTHS):
        stride = 2 if index and width > HINT_WIDTHS[index - 1] else 1
        layers += [nn.Conv2d(channels, width, 3, stride=stride, padding=1), nn.SiLU()]
        channels = width
    return nn.Sequential(*layers, _zero(channels, out_channels=out_channels, kernel=3))


def _zero(channels: int, kernel: int, out_channels: int | None = None) -> nn.Conv2d:
    """A convolution that gives zero until it is trained."""
    conv = nn.Conv2d(channels, out_channels or channels, kernel, padding=kernel // 2)
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
