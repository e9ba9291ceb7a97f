"""The denoising U-Net: from a noisy clip, two keyframes and a context to the velocity v.

Xing et al., "ToonCrafter: Generative Cartoon Interpolation" (2024), on the network of "DynamiCrafter" (ECCV 2024). Its
tensors have the published names, without ``model.diffusion_model.``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from animegen_tooncrafter.diffusion.architecture import BlockPlan, UNetConfiguration, input_plan, output_plan
from animegen_tooncrafter.diffusion.control import Control
from animegen_tooncrafter.diffusion.resblock import ResBlock
from animegen_tooncrafter.diffusion.tokens import split_context
from animegen_tooncrafter.diffusion.transformer import SpatialTransformer, TemporalTransformer
from animegen_torch.diffusion.attention import Keys
from animegen_torch.diffusion.context import Context
from animegen_torch.diffusion.embedding import sinusoids
from animegen_torch.diffusion.inference import lay_out
from animegen_torch.diffusion.layers import Downsample, GroupNorm, SiLU, Upsample, dtype_of, for_each_branch

INIT_HEADS = 8


@dataclass(frozen=True)
class Pass:
    """What all layers of one call share.

    Attributes:
        embedding: Of time and fps, (B, E) float32, for every sample of the context.
        frames: T.
        keys: Of the transformer in the block that runs.
        temporal: Whether layers over time are run.
    """

    embedding: Tensor
    frames: int
    keys: tuple[Keys, ...] = ()
    temporal: bool = True


class Block(nn.ModuleList):
    """Layers behind one another, each called with what its kind needs: (B·T, C, H, W) -> (B·T, C', H', W').

    Until the first attention to the context, frames are the same for every branch of guidance, and there once.
    """

    def forward(self, x: Tensor, call: Pass) -> Tensor:
        for layer in self:
            if isinstance(layer, ResBlock):
                embedding = call.embedding[: len(x) // call.frames]
                x = layer(x, embedding, call.frames, temporal=call.temporal)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, call.keys, len(call.embedding) * call.frames)
            elif isinstance(layer, TemporalTransformer):
                x = layer(x, call.frames) if call.temporal else x
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """The network; see `forward`, and `prepare` for what is worked out once per clip.

    Attributes:
        gradient_checkpointing: In training, keep no activations within a block but compute them again.
        temporal: Whether layers over time are run; without them frames are independent (a variant of training).
    """

    def __init__(self, configuration: UNetConfiguration | None = None) -> None:
        super().__init__()
        self.configuration = c = configuration or UNetConfiguration()
        self.gradient_checkpointing = False
        self.temporal = True
        width, embedding = c.model_channels, c.embedding
        self.time_embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.fps_embedding = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.input_blocks = nn.ModuleList(self._block(plan) for plan in input_plan(c))
        self.init_attn = Block([TemporalTransformer(width, INIT_HEADS, c.num_head_channels, pointwise=True)])
        deepest = input_plan(c)[-1].out_channels
        self.middle_block = Block(
            [self._res(deepest, deepest), self._spatial(deepest), self._over_time(deepest), self._res(deepest, deepest)]
        )
        self.output_blocks = nn.ModuleList(self._block(plan) for plan in output_plan(c))
        self.out = nn.Sequential(GroupNorm(width), SiLU(), nn.Conv2d(width, c.out_channels, 3, padding=1))

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Context | Tensor,
        fs: Tensor | None = None,
        *,
        control: Control | None = None,
    ) -> Tensor:
        """Predict v.

        Args:
            x: Noisy latents and, behind them on the channel axis, the latents of the keyframes (zeros in between):
                (B, 8, T, H, W) of any floating type.
            timesteps: (B,), 0 to 999.
            context: From `prepare` (once per clip), or the tokens themselves, (B, 77 + L, W). Of k · B samples, it is
                k contexts for each latent, one behind the other: the branches of guidance. What comes before the first
                attention to the context is the same for them and computed once.
            fs: Frames per second of each sample, (B,); 5 to 30, less is more motion.
            control: Residuals of a sketch encoder.

        Returns:
            (k · B, 4, T, H, W) float32.

        Raises:
            ValueError: The sides of the latent do not divide, or the context is for other samples or frames.
        """
        samples, _, frames, height, width = x.shape
        self._check(height, width)
        if isinstance(context, Tensor):
            context = self.prepare(context, frames)
        if context.samples % samples or context.frames != frames:
            raise ValueError(
                f"the context is for {context.samples} × {context.frames} frames, the latents are {samples} × {frames}"
            )
        embedding = self._embed(timesteps, fs).repeat(context.samples // samples, 1)
        call = Pass(embedding, frames, temporal=self.temporal)
        h = x.transpose(1, 2).flatten(0, 1).to(self.dtype, memory_format=torch.channels_last)
        skips = []
        for index, block in enumerate(self.input_blocks):
            h = self._run(block, h, call, context, f"input_blocks.{index}")
            if index == 0:
                h = self._run(self.init_attn, h, call, context, "init_attn")
            skips.append(h)
        h = self._run(self.middle_block, h, call, context, "middle_block")
        if control is not None:
            h = control.add_middle(h, frames)
        for index, block in enumerate(self.output_blocks):
            skip = for_each_branch(skips.pop(), len(h))
            if control is not None:
                skip = control.add_skip(len(skips), skip, frames)
            h = torch.cat((h, skip), 1)
            del skip
            h = self._run(block, h, call, context, f"output_blocks.{index}")
        v: Tensor = self.out(h)
        return v.view(-1, frames, *v.shape[1:]).transpose(1, 2).float().contiguous()

    def prepare(self, tokens: Tensor, frames: int) -> Context:
        """Keys and values of every transformer for the tokens (B, 77 + L, W) of a clip of `frames` frames."""
        text, image = split_context(tokens.to(self.dtype), frames)
        keys = {name: transformer.keys(text, image) for name, transformer in self.transformers()}
        return Context(keys, tokens.shape[0], frames)

    def transformers(self) -> Iterator[tuple[str, SpatialTransformer]]:
        """Transformers with cross-attention, by the name of their block."""
        for name, module in self.named_modules():
            if isinstance(module, SpatialTransformer):
                yield name.rpartition(".")[0], module

    @property
    def dtype(self) -> torch.dtype:
        """The type that all but the embedding is computed in."""
        return dtype_of(self.out)

    def compute_in(self, dtype: torch.dtype) -> UNet:
        """Convert to `dtype` (in place), but leave the small layers that embed time and fps in float32."""
        self.to(dtype)
        self.time_embed.float()
        self.fps_embedding.float()
        return self

    def for_inference(self) -> UNet:
        """Laid out as inference reads it, in place; see `animegen_torch.diffusion.inference.lay_out`."""
        lay_out(self)
        return self

    def _embed(self, timesteps: Tensor, fs: Tensor | None) -> Tensor:
        if fs is None:
            fs = torch.full_like(timesteps, self.configuration.default_fs)
        width = self.configuration.model_channels
        kind = dtype_of(self.time_embed)
        of_time: Tensor = self.time_embed(sinusoids(timesteps, width).to(kind)).float()
        of_fps: Tensor = self.fps_embedding(sinusoids(fs, width).to(kind)).float()
        return of_time + of_fps

    def _run(self, block: nn.Module, h: Tensor, call: Pass, context: Context, name: str) -> Tensor:
        call = Pass(call.embedding, call.frames, context.keys.get(name, ()), call.temporal)
        if self.gradient_checkpointing and torch.is_grad_enabled():
            result: Tensor = checkpoint(block, h, call, use_reentrant=False)
        else:
            result = block(h, call)
        return result

    def _check(self, height: int, width: int) -> None:
        multiple = self.configuration.multiple
        if height % multiple or width % multiple:
            raise ValueError(
                f"sides of a latent are multiples of {multiple} (a picture's of {8 * multiple}), not {width} × {height}"
            )

    def _block(self, plan: BlockPlan) -> Block:
        if plan.kind == "conv":
            return Block([nn.Conv2d(plan.channels, plan.out_channels, 3, padding=1)])
        if plan.kind == "down":
            return Block([Downsample(plan.channels)])
        layers: list[nn.Module] = [self._res(plan.channels, plan.out_channels)]
        if plan.attention:
            layers += [self._spatial(plan.out_channels), self._over_time(plan.out_channels)]
        if plan.up:
            layers.append(Upsample(plan.out_channels))
        return Block(layers)

    def _res(self, channels: int, out_channels: int) -> ResBlock:
        c = self.configuration
        return ResBlock(channels, out_channels, c.embedding, dropout=c.dropout)

    def _spatial(self, channels: int) -> SpatialTransformer:
        c = self.configuration
        return SpatialTransformer(channels, c.heads(channels), c.context_dim)

    def _over_time(self, channels: int) -> TemporalTransformer:
        c = self.configuration
        return TemporalTransformer(channels, c.heads(channels), c.num_head_channels)
