"""Layers of the RIFE networks, under the names of the published files, and how they are fused for inference."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, leaky_relu

from animegen_rife.architecture import COLOURS, FLOW, UNITS, Architecture
from animegen_rife.architecture import Encoder as EncoderShape
from animegen_rife.convolution import FusedConv

SLOPE = 0.2


class ConvUnit(nn.Sequential):
    """3 × 3 convolution and activation."""

    def __init__(self, before: int, after: int, *, stride: int = 1, prelu: bool = False) -> None:
        activation = nn.PReLU(after) if prelu else nn.LeakyReLU(SLOPE)
        super().__init__(nn.Conv2d(before, after, 3, stride, 1), activation)

    def fused(self, pack: bool) -> nn.Module:
        """The same for inference."""
        convolution, activation = self
        if isinstance(activation, nn.PReLU):
            return nn.Sequential(_fused(convolution, None, pack), activation)
        return _fused(convolution, SLOPE, pack)


class ResidualUnit(nn.Module):
    """Activation of (3 × 3 convolution × beta + input), beta learned for each channel."""

    def __init__(self, width: int, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1, groups=groups)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(torch.addcmul(x, self.conv(x), self.beta), SLOPE)

    def fused(self, pack: bool) -> nn.Module:
        """The same for inference: a convolution can multiply its output and add its input by itself.

        Beta goes into the weights, and the input is added by a 1 in the middle of each channel's own kernel.
        """
        weight = self.conv.weight.detach().float() * self.beta.detach().float().view(-1, 1, 1, 1)
        width, inside = weight.shape[:2]
        own = torch.arange(width, device=weight.device)
        weight[own, own % inside, 1, 1] += 1
        bias = self.conv.bias.detach() * self.beta.detach().flatten() if self.conv.bias is not None else None
        assert bias is not None
        return FusedConv(
            weight.to(self.conv.weight.dtype), bias, stride=1, groups=self.conv.groups, slope=SLOPE, pack=pack
        )


class Head(nn.Module):
    """Motion, mask and the rest out of a block's channels: a transposed convolution, shuffled or not.

    forward: (N, width, h, w) to (N, channels, 4 h, 4 w) shuffled, else (N, channels, 2 h, 2 w), contiguous float32.
    """

    def __init__(self, layer: nn.ConvTranspose2d, channels: int, shuffle: bool) -> None:
        super().__init__()
        self.channels, self.shuffle = channels, shuffle
        weight = layer.weight.detach()
        assert layer.bias is not None
        bias = layer.bias.detach()
        if shuffle:  # four outputs of the convolution make one; oneDNN computes eight for the price of five
            keep = 4 * min(-(-channels // 2) * 2, len(bias) // 4)
            weight, bias = weight[:, :keep], bias[:keep]
        self.weight: Tensor
        self.bias: Tensor
        weight = weight.contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = conv_transpose2d(x, self.weight, self.bias, 2, 1)
        if not self.shuffle:
            return x.to(torch.float32, memory_format=torch.contiguous_format)
        n, channels, height, width = x.shape
        x = x.view(n, channels // 4, 2, 2, height, width)[:, : self.channels].permute(0, 1, 4, 2, 5, 3)
        result = torch.empty(n, self.channels, height, 2, width, 2, dtype=torch.float32, device=x.device)
        return result.copy_(x).view(n, self.channels, 2 * height, 2 * width)


class FlowBlock(nn.Module):
    """One scale: motion, mask and the rest from what is known at that scale.

    forward: (N, inputs, h, w) to (N, head_channels, h, w); with a transposed head to (N, 5, h / 2, w / 2).
    """

    def __init__(self, architecture: Architecture, index: int) -> None:
        super().__init__()
        width, prelu = architecture.widths[index], architecture.prelu
        self.skips_units = architecture.skips_units
        last = index == len(architecture.widths) - 1
        self.needed = FLOW + 1 + (0 if last else architecture.recurrent)
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
        self.lastconv: nn.Module
        if architecture.head == "shuffled":
            self.lastconv = nn.Sequential(nn.ConvTranspose2d(width, 4 * channels, 4, 2, 1), nn.PixelShuffle(2))
        else:
            self.lastconv = nn.ConvTranspose2d(width, channels, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv0(x)
        y = self.convblock(x)
        result: Tensor = self.lastconv(x + y if self.skips_units else y)
        return result[:, : self.needed].float()

    def fuse(self, pack: bool) -> None:
        """Replace every layer by its like for inference."""
        for layers in (self.conv0, self.convblock):
            for index, layer in enumerate(layers):
                if isinstance(layer, ConvUnit | ResidualUnit):
                    layers[index] = layer.fused(pack)
        head = self.lastconv
        shuffled = isinstance(head, nn.Sequential)
        layer = head[0] if isinstance(head, nn.Sequential) else head
        if isinstance(layer, nn.ConvTranspose2d):
            self.lastconv = Head(layer, self.needed, shuffled)


@dataclass(frozen=True)
class Frame:
    """A frame made ready, for use in every pair that it belongs to: what `IFNet.encode` returns.

    Features, colours and alpha lie in one tensor, so that one sampling reads what is wanted of them.

    Attributes:
        planes: (1, features + 3 or 4, H, W) float32: the encoder's features, red, green, blue and, if given, alpha.
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
        self.slope = SLOPE if shape is not None and shape.activated else None
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
            return Frame(image.float(), 0)
        *convolutions, last = layers
        assert isinstance(last, nn.ConvTranspose2d)
        x = image[:, :COLOURS].to(last.weight.dtype)
        for layer in convolutions:
            x = layer(x)
            if self.slope is not None and isinstance(layer, nn.Conv2d):
                x = leaky_relu(x, self.slope)
        features = last(x)
        return Frame(torch.cat((features.float(), image.float()), 1), features.shape[1])

    def fuse(self, pack: bool) -> None:
        """Replace the convolutions by their like for inference."""
        for name, layer in list(self.named_children()):
            if isinstance(layer, nn.Conv2d):
                setattr(self, name, _fused(layer, self.slope, pack))


def _fused(layer: nn.Module, slope: float | None, pack: bool) -> FusedConv:
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    return FusedConv(layer.weight, layer.bias, stride=layer.stride[0], groups=layer.groups, slope=slope, pack=pack)
