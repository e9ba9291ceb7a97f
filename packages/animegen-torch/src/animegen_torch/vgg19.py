"""VGG19 up to its thirteenth convolution, with the names of torchvision's parameters (Simonyan & Zisserman 2015)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from animegen_torch.backbones import UNSCORED, read_backbone
from animegen_torch.winograd import pays, three_rows

RELU = (1, 6, 11, 20, 29)
"""Indices of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 in ``features`` (Gatys et al. 2016)."""
LEAST_SIDE = 16
"""Below this many pixels nothing is left after the fourth pooling."""
_BLOCKS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512)
_ALL = range(37)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Vgg19(nn.Module):
    """The five layers of style, or the first few of them. Max pooling as published.

    Args:
        layers: How many of the five are wanted; what lies above the last one is not there.
        quick: On a processor, compute kernels of three rows in half the products where that pays. What comes out then
            differs by rounding: not for scores.
    """

    def __init__(self, layers: int = len(RELU), *, quick: bool = False) -> None:
        super().__init__()
        self.quick = quick
        self.taps = RELU[:layers]
        features: list[nn.Module] = []
        width = 3
        for channels in _BLOCKS:
            if channels:
                features += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
                width = channels
            else:
                features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features[: self.taps[-1] + 1])

    def forward(self, pictures: Tensor, *, before: bool = False) -> list[Tensor]:
        """Features of (N, 3, H, W) RGB in [0, 1], H and W at least `LEAST_SIDE`: of each layer (N, C, h, w).

        Args:
            before: Those of the convolutions, which the ReLU has not cut off yet.
        """
        return list(self.each(pictures, before=before))

    def each(self, pictures: Tensor, *, before: bool = False) -> Iterator[Tensor]:
        """`forward`, a layer at a time: whoever drops one before taking the next needs memory for the largest alone."""
        mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        here = (pictures - mean) / deviation
        for index, layer in enumerate(self.features):
            if before and index in self.taps:
                yield here
            here = self._quick(layer, here) if self.quick and not before else layer(here)
            if not before and index in self.taps:
                yield here

    @staticmethod
    def _quick(layer: nn.Module, x: Tensor) -> Tensor:
        if isinstance(layer, nn.Conv2d) and pays(x, layer.weight):
            return three_rows(x, layer.weight, layer.bias)
        if isinstance(layer, nn.ReLU) and not torch.is_grad_enabled():
            return x.relu_()
        result: Tensor = layer(x)
        return result


def read_vgg19(
    path: Path, device: torch.device, *, layers: int = len(RELU), quick: bool = False, told: str = UNSCORED
) -> Vgg19:
    """The network with the parameters of torchvision's file, of which only those of these layers are taken.

    Args:
        layers, quick: As for `Vgg19`.
        told: What follows from a file that holds values that are not numbers; for the message.

    Raises:
        InputError: The file is damaged or of another network.
    """
    above = [rf"features\.{index}\." for index in _ALL if index > RELU[layers - 1]]
    return read_backbone(
        path, lambda: Vgg19(layers, quick=quick), device, name="VGG19", ignore=(*above, r"classifier\."), told=told
    )
