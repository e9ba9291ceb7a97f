"""The denoising U-Net: from a noisy clip, the frames that are given and a text to the noise in it.

Chen et al., "SEINE: Short-to-Long Video Diffusion Model for Generative Transition and Prediction" (ICLR 2024): the
U-Net of Stable Diffusion 1.4 with attention over time in every transformer, and input channels for what is given.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from animegen_seine.network.architecture import UNetConfiguration, down_plan, up_plan
from animegen_seine.network.blocks import Call, ClipNorm, Down, Middle, Up
from animegen_seine.network.transformer import Frames, Transformer
from animegen_torch.diffusion.context import Context
from animegen_torch.diffusion.embedding import sinusoids
from animegen_torch.diffusion.inference import lay_out
from animegen_torch.diffusion.layers import SiLU, dtype_of


class TimeEmbedding(nn.Module):
    """Two linear layers around SiLU; stays float32 in a network of half precision."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(width, embedding)
        self.linear_2 = nn.Linear(embedding, embedding)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear_2(nn.functional.silu(self.linear_1(x.to(dtype_of(self)))))
        return result.float()


class UNet(nn.Module):
    """The network; see `forward`, and `prepare` for what is worked out once per clip."""

    def __init__(self, configuration: UNetConfiguration | None = None) -> None:
        super().__init__()
        self.configuration = c = configuration or UNetConfiguration()
        self.conv_in = nn.Conv2d(c.in_channels, c.widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(c.widths[0], c.embedding)
        self.down_blocks = nn.ModuleList(Down(plan, c, f"down_blocks.{i}") for i, plan in enumerate(down_plan(c)))
        self.mid_block = Middle(c.widths[-1], c, "mid_block")
        self.up_blocks = nn.ModuleList(Up(plan, c, f"up_blocks.{i}") for i, plan in enumerate(up_plan(c)))
        self.conv_norm_out = ClipNorm(c.widths[0], c.groups)
        self.act = SiLU()
        self.conv_out = nn.Conv2d(c.widths[0], c.out_channels, 3, padding=1)

    def forward(self, x: Tensor, timesteps: Tensor, context: Context | Tensor) -> Tensor:
        """Predict the noise.

        Args:
            x: Noisy latents, and behind them on the channel axis the mask and the latents of the given frames:
                (B, 9, T, H, W) of any floating type, any height and width.
            timesteps: (B,), 0 to 999.
            context: From `prepare` (once per clip), or the text's tokens themselves, (B, L, W). Of k · B samples, it is
                k texts for each latent, one behind the other: the branches of guidance. What comes before the first
                attention to the text is the same for them and computed once.

        Returns:
            (k · B, 4, T, H, W) float32.

        Raises:
            ValueError: The context is for other samples or frames.
        """
        samples, _, frames, _, _ = x.shape
        if isinstance(context, Tensor):
            context = self.prepare(context, frames)
        if context.samples % samples or context.frames != frames:
            raise ValueError(
                f"the context is for {context.samples} × {context.frames} frames, the latents are {samples} × {frames}"
            )
        embedding = self.time_embedding(sinusoids(timesteps, self.configuration.widths[0]))
        embedding = embedding.repeat(context.samples // samples, 1)
        call = Call(nn.functional.silu(embedding), Frames.of(frames, x.device), context)
        h = self.conv_in(x.transpose(1, 2).flatten(0, 1).to(self.dtype, memory_format=torch.channels_last))
        skips = [h]
        for down in self.down_blocks:
            skips += down(h, call)
            h = skips[-1]
        h = self.mid_block(h, call)
        for up in self.up_blocks:
            h = up(h, skips, call)
        noise: Tensor = self.conv_out(self.act(self.conv_norm_out.over(h, frames)))
        return noise.view(context.samples, frames, *noise.shape[1:]).transpose(1, 2).float().contiguous()

    def prepare(self, tokens: Tensor, frames: int) -> Context:
        """Keys and values of every transformer for the text (B, L, W) of clips of `frames` frames."""
        text = tokens.to(self.dtype)
        keys = {name: transformer.keys(text) for name, transformer in self.transformers()}
        return Context(keys, tokens.shape[0], frames)

    def transformers(self) -> Iterator[tuple[str, Transformer]]:
        """Transformers by name."""
        for name, module in self.named_modules():
            if isinstance(module, Transformer):
                yield name, module

    @property
    def dtype(self) -> torch.dtype:
        """The type that all but the embedding is computed in."""
        return dtype_of(self.conv_out)

    def compute_in(self, dtype: torch.dtype) -> UNet:
        """Convert to `dtype` (in place), but leave the embedding of time in float32."""
        self.to(dtype)
        self.time_embedding.float()
        return self

    def for_inference(self) -> UNet:
        """Laid out as inference reads it, in place; see `animegen_torch.diffusion.inference.lay_out`."""
        lay_out(self)
        return self
