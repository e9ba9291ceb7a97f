"""VGG19 up to its thirteenth convolution, with the names of torchvision's parameters (Simonyan & Zisserman 2015)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from animegen_torch.backbones import read_backbone

RELU = (1, 6, 11, 20, 29)
"""Indices of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 in ``features`` (Gatys et al. 2016)."""
LEAST_SIDE = 16
"""Below this many pixels nothing is left after the fourth pooling."""
_BLOCKS = (3, 64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Vgg19(nn.Module):
    """The five layers of style. Max pooling as published, and no ReLU in place: what came before it can be read."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = _BLOCKS[0]
        for channels in _BLOCKS[1:]:
            if channels:
                layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
                width = channels
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, pictures: Tensor, *, before: bool = False) -> list[Tensor]:
        """Features of (N, 3, H, W) RGB in [0, 1], H and W at least `LEAST_SIDE`: five of (N, C, h, w).

        Args:
            before: Those of the convolutions, which the ReLU has not cut off yet.
        """
        mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        here = (pictures - mean) / deviation
        found = []
        for start, stop in pairwise((0, *(index for relu in RELU for index in (relu, relu + 1)))):
            here = self.features[start:stop](here)
            if (stop in RELU) == before:
                found.append(here)
        return found


def read_vgg19(path: Path, device: torch.device) -> Vgg19:
    """The network with the parameters of torchvision's file; what stands above the thirteenth convolution is left.

    Raises:
        InputError: The file is damaged or of another network.
    """
    return read_backbone(path, Vgg19, device, name="VGG19", ignore=(r"features\.(30|32|34)\.", r"classifier\."))
