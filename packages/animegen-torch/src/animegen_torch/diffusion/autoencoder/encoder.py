"""From a picture to its latent, and to the features that the decoder refers back to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.blocks import Middle, ResnetBlock
from animegen_torch.diffusion.autoencoder.layers import Conv2d, Downsample, GroupNorm, swish


@dataclass(frozen=True)
class Posterior:
    """What the encoder says of a latent: a normal distribution for each of its numbers, (N, 4, h, w) float32."""

    mean: Tensor
    logvar: Tensor

    @classmethod
    def of(cls, moments: Tensor) -> Posterior:
        """From the result of ``quant_conv``, (N, 8, h, w)."""
        mean, logvar = moments.chunk(2, dim=1)
        return cls(mean, logvar.clamp(-30.0, 20.0))

    @property
    def std(self) -> Tensor:
        """Standard deviations."""
        return torch.exp(0.5 * self.logvar)

    def sample(self, noise: Tensor) -> Tensor:
        """A latent (before it is scaled) from normal `noise` of its shape."""
        return self.mean + self.std * noise.to(self.mean)


class Level(nn.Module):
    """One resolution: blocks, and what halves the size behind all but the last level."""

    def __init__(self, channels: int, out_channels: int, blocks: int, last: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(out_channels if i else channels, out_channels) for i in range(blocks))
        if not last:
            self.downsample = Downsample(out_channels)


class Encoder(nn.Module):
    """The encoder of latent diffusion (Rombach et al., CVPR 2022), handing out five features on the way."""

    def __init__(self, configuration: FirstStageConfiguration) -> None:
        super().__init__()
        c, widths = configuration, configuration.widths
        self.conv_in = Conv2d(c.in_channels, c.ch, 3, padding=1)
        self.down = nn.ModuleList(
            Level(widths[i - 1] if i else c.ch, width, c.num_res_blocks, i == len(widths) - 1)
            for i, width in enumerate(widths)
        )
        self.mid = Middle(widths[-1])
        self.norm_out = GroupNorm(widths[-1])
        self.conv_out = Conv2d(widths[-1], 2 * c.z_channels, 3, padding=1)

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Encode pictures.

        Args:
            pictures: (N, 3, H, W) in [-1, 1], H and W multiples of 8.

        Returns:
            (N, 8, H/8, W/8) before ``quant_conv``, and the features: behind the last block of each level, from the
            full size down, and last the picture behind the first convolution. All float32.
        """
        first = h = self.conv_in(pictures.float())
        features = []
        for level in self.down:
            assert isinstance(level, Level)
            for block in level.block:
                h = block(h)
            features.append(h)
            if hasattr(level, "downsample"):
                h = level.downsample(h)
        h = self.conv_out(swish(self.norm_out(self.mid(h))))
        return h, (*features, first)
