"""Layers of the RIFE networks, under the names of the published files."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from animegen_rife.architecture import COLOURS, UNITS, Architecture
from animegen_rife.architecture import Encoder as EncoderShape

SLOPE = 0.2


class ConvUnit(nn.Sequential):
    """3 × 3 convolution and activation."""

    def __init__(self, before: int, after: int, *, stride: int = 1, prelu: bool = False) -> None:
        activation = nn.PReLU(after) if prelu else nn.LeakyReLU(SLOPE)
        super().__init__(nn.Conv2d(before, after, 3, stride, 1), activation)


class ResidualUnit(nn.Module):
    """Activation of (3 × 3 convolution × beta + input), beta learned for each channel."""

    def __init__(self, width: int, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1, groups=groups)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(torch.addcmul(x, self.conv(x), self.beta), SLOPE)


class FlowBlock(nn.Module):
    """One scale: motion, mask and the rest from what is known at that scale.

    forward: (N, inputs, h, w) to (N, head_channels, h, w); with a transposed head to (N, 5, h / 2, w / 2).
    """

    def __init__(self, architecture: Architecture, index: int) -> None:
        super().__init__()
        width, prelu = architecture.widths[index], architecture.prelu
        self.skips_units = architecture.skips_units
        self.conv0 = nn.Sequential(
            ConvUnit(architecture.inputs(index), width // 2, stride=2, prelu=prelu),
            ConvUnit(width // 2, width, stride=2, prelu=prelu),
        )
        units: list[nn.Module]
        if architecture.units == "residual":
            units = [ResidualUnit(width, groups=architecture.groups) for _ in range(UNITS)]
        else:
            units = [ConvUnit(width, width, prelu=prelu) for _ in range(UNITS)]
        self.convblock = nn.Sequential(*units)
        channels = architecture.head_channels
        self.shuffled = architecture.head == "shuffled"
        self.lastconv: nn.Module
        if self.shuffled:
            self.lastconv = nn.Sequential(nn.ConvTranspose2d(width, 4 * channels, 4, 2, 1), nn.PixelShuffle(2))
        else:
            self.lastconv = nn.ConvTranspose2d(width, channels, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv0(x)
        y = self.convblock(x)
        result: Tensor = self.lastconv(x + y if self.skips_units else y)
        return result


@dataclass(frozen=True)
class Frame:
    """A frame made ready, for use in every pair that it belongs to: what `IFNet.encode` returns.

    Features, colours and alpha lie in one tensor, so that one sampling reads what is wanted of them.

    Attributes:
        planes: (1, features + 3 or 4, H, W): the encoder's features, red, green, blue and, where given, alpha.
        features: How many of the planes are features; 0 where the version has no encoder.
    """

    planes: Tensor
    features: int

    @property
    def seen(self) -> Tensor:
        """What motion is found in: features and colours."""
        return self.planes[:, : self.features + COLOURS]

    @property
    def shown(self) -> Tensor:
        """What the result is made of: colours and alpha."""
        return self.planes[:, self.features :]


class Encoder(nn.Module):
    """Features of a frame, kept beside it. Without layers (up to 4.6) there are none.

    forward: (1, 3 or 4, H, W) to a `Frame` of (1, out + 3 or 4, H, W).
    """

    def __init__(self, shape: EncoderShape | None) -> None:
        super().__init__()
        self.activated = shape is not None and shape.activated
        if shape is None:
            return
        *convolutions, last = shape.layers
        channels, stride = COLOURS, 2
        for name in convolutions:
            self.add_module(name, nn.Conv2d(channels, shape.middle, 3, stride, 1))
            channels, stride = shape.middle, 1
        self.add_module(last, nn.ConvTranspose2d(channels, shape.out, 4, 2, 1))

    def forward(self, image: Tensor) -> Frame:
        layers = list(self.children())
        if not layers:
            return Frame(image, 0)
        *convolutions, last = layers
        x = image[:, :COLOURS]
        for convolution in convolutions:
            x = convolution(x)
            if self.activated:
                x = leaky_relu(x, SLOPE)
        features = last(x)
        return Frame(torch.cat((features, image), 1), features.shape[1])
