"""Layers that the networks of EISAI are made of, under the names of the published files.

Every unit is a PReLU with one slope a channel, a 3 × 3 convolution, and a batch norm, in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def unit(before: int, after: int, *, stride: int = 1, kernel: int = 3, norm: bool = True) -> list[nn.Module]:
    """PReLU, convolution, and batch norm where wanted."""
    layers: list[nn.Module] = [nn.PReLU(before), nn.Conv2d(before, after, kernel, stride, kernel // 2)]
    return [*layers, nn.BatchNorm2d(after)] if norm else layers


class Chain(nn.Module):
    """Layers one after another, called ``net`` in the files."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.net(x)
        return result


class Residual(Chain):
    """Two units, and the input added."""

    def __init__(self, width: int) -> None:
        super().__init__([*unit(width, width), *unit(width, width)])

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.net(x)
        return result


def down(before: int, after: int) -> Chain:
    """To half the size."""
    return Chain([*unit(before, before, stride=2), *unit(before, after)])


def up(before: int, after: int) -> Chain:
    """To twice the size."""
    return Chain([nn.Upsample(scale_factor=2, mode="nearest"), *unit(before, after), *unit(after, after)])


def logit(pixels: Tensor) -> Tensor:
    """Pixels in [0, 1] on an open scale, on which 0 and 1 lie one level and a bit away from infinity."""
    u = (253 * pixels + 1) / 255
    return torch.log(u / (1 - u))


def fuse(module: nn.Module) -> None:
    """For inference: batch norms into the convolutions before them (``conv1, bn1``, and neighbours in a sequence).

    On a processor kernels are also brought into the order in which its convolutions are twice as fast.
    """
    for parent in module.modules():
        names = list(parent._modules) if isinstance(parent, nn.Sequential) else []
        pairs = list(pairwise(names))
        pairs += [(f"conv{number}", f"bn{number}") for number in (1, 2, 3)]
        for one, other in pairs:
            conv, norm = parent._modules.get(one), parent._modules.get(other)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                parent._modules[one] = fuse_conv_bn_eval(conv, norm)
                parent._modules[other] = nn.Identity()
    if all(parameter.device.type == "cpu" for parameter in module.parameters()):
        module.to(memory_format=torch.channels_last)
