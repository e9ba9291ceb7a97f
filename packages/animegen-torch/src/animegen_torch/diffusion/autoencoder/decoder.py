"""From a latent back to a picture, each frame on its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.blocks import Middle, ResnetBlock
from animegen_torch.diffusion.autoencoder.layers import Conv2d, GroupNorm, Upsample, swish


class Level(nn.Module):
    """One resolution: blocks, and what doubles the size behind all but the largest."""

    def __init__(self, channels: int, out_channels: int, blocks: int, last: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(out_channels if i else channels, out_channels) for i in range(blocks))
        if not last:
            self.upsample = Upsample(out_channels)


class PictureDecoder(nn.Module):
    """The decoder of latent diffusion (Rombach et al., CVPR 2022), under its own names."""

    def __init__(self, configuration: FirstStageConfiguration) -> None:
        super().__init__()
        c, widths = configuration, configuration.widths
        self.conv_in = Conv2d(c.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList(
            Level(widths[min(i + 1, len(widths) - 1)], width, c.num_res_blocks + 1, i == 0)
            for i, width in enumerate(widths)
        )
        self.norm_out = GroupNorm(widths[0])
        self.conv_out = Conv2d(widths[0], c.out_ch, 3, padding=1)

    @torch.no_grad()
    def forward(self, z: Tensor) -> Tensor:
        """(N, 4, h, w) behind ``post_quant_conv`` -> (N, 3, 8h, 8w) float32."""
        h: Tensor = self.mid(self.conv_in(z.float()))
        for level in reversed(self.up):
            assert isinstance(level, Level)
            for block in level.block:
                h = block(h)
            if hasattr(level, "upsample"):
                h = level.upsample(h)
        return self.conv_out(swish(self.norm_out(h)))  # type: ignore[no-any-return]
