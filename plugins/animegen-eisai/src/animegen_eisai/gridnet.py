"""A grid network of depth one: features of three sizes, once down and once up again.

Source: Chen & Zwicker, ECCV 2022, section 3.2; grids after Fourure et al., "Residual Conv-Deconv Grid Network", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from animegen_eisai.layers import Residual, down, unit, up

WIDTHS = (32, 64, 128)


class Converter(nn.Module):
    """Features of each level to the channels that the grid has there."""

    def __init__(self, before: Sequence[int] = (64, 256, 512)) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(*unit(one, after, kernel=1)) for one, after in zip(before, WIDTHS, strict=True)
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        return [net(level) for net, level in zip(self.nets, levels, strict=True)]


class GridNet(nn.Module):
    """Three levels, the finest first, to the finest alone: (N, 32, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList([_Down()])
        self.decoders = nn.ModuleList([_Up()])

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        result: Tensor = self.decoders[0](self.encoders[0](levels))
        return result


class _Down(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resnet_0, self.resnet_1, self.resnet_2 = (Residual(width) for width in WIDTHS)
        self.downsample_01 = down(WIDTHS[0], WIDTHS[1])
        self.downsample_12 = down(WIDTHS[1], WIDTHS[2])

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        fine = self.resnet_0(levels[0])
        middle = self.resnet_1(levels[1]) + self.downsample_01(fine)
        coarse = self.resnet_2(levels[2]) + self.downsample_12(middle)
        return [fine, middle, coarse]


class _Up(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resnet_0, self.resnet_1, self.resnet_2 = (Residual(width) for width in WIDTHS)
        self.upsample_10 = up(WIDTHS[1], WIDTHS[0])
        self.upsample_21 = up(WIDTHS[2], WIDTHS[1])

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        middle = self.resnet_1(levels[1]) + self.upsample_21(self.resnet_2(levels[2]))
        result: Tensor = self.resnet_0(levels[0]) + self.upsample_10(middle)
        return result
