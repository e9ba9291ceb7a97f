"""I3D, RGB stream (Carreira & Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017), with the published names.

The parameters were converted from TensorFlow. Padding is that of TensorFlow ("same"): uneven where it must be, and
zeros even before pooling. Its batch norms have TensorFlow's statistics but an epsilon of 1e-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, max_pool3d, pad, relu

from animegen_torch.backbones import read_backbone

CLASSES = 400
SIDE = 224
LEAST_FRAMES = 9
"""The last pooling looks at two steps in time, of 8 frames each as they come in."""
_Triple = tuple[int, int, int]

_MIXED: dict[str, tuple[int, tuple[int, int, int, int, int, int]]] = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Channels that come in, and those of b0, b1a, b1b, b2a, b2b and b3b."""
_POOL_BEFORE: dict[str, tuple[_Triple, _Triple]] = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


class I3d(nn.Module):
    """From clips to logits of Kinetics-400."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, 7, stride=2)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        for name, (width, channels) in _MIXED.items():
            self.add_module(name, Mixed(width, channels))
        self.logits = Unit(1024, CLASSES, 1, plain=True)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits of (N, 3, T, `SIDE`, `SIDE`) RGB in [-1, 1], T at least `LEAST_FRAMES`: (N, 400), mean over time."""
        here = self.Conv3d_1a_7x7(clips)
        here = self.Conv3d_2b_1x1(pool_same(here, (1, 3, 3), (1, 2, 2)))
        here = self.Conv3d_2c_3x3(here)
        for name in _MIXED:
            if name in _POOL_BEFORE:
                here = pool_same(here, *_POOL_BEFORE[name])
            here = self.get_submodule(name)(here)
        logits: Tensor = self.logits(avg_pool3d(here, (2, 7, 7), stride=1))
        return logits.mean((2, 3, 4))


class Unit(nn.Module):
    """Convolution, batch norm and ReLU; `plain` has a bias in place of the other two."""

    def __init__(self, width: int, channels: int, kernel: int, *, stride: int = 1, plain: bool = False) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(width, channels, kernel, stride=stride, bias=plain)
        self.bn = None if plain else nn.BatchNorm3d(channels, eps=1e-5)

    def forward(self, clips: Tensor) -> Tensor:
        found: Tensor = self.conv3d(pad_same(clips, self.kernel, self.stride))
        return found if self.bn is None else relu(self.bn(found))


class Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, width: int, channels: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = Unit(width, channels[0], 1)
        self.b1a, self.b1b = Unit(width, channels[1], 1), Unit(channels[1], channels[2], 3)
        self.b2a, self.b2b = Unit(width, channels[3], 1), Unit(channels[3], channels[4], 3)
        self.b3b = Unit(width, channels[5], 1)

    def forward(self, clips: Tensor) -> Tensor:
        pooled = pool_same(clips, (3, 3, 3), (1, 1, 1))
        return torch.cat(
            (self.b0(clips), self.b1b(self.b1a(clips)), self.b2b(self.b2a(clips)), self.b3b(pooled)), dim=1
        )


def pad_same(clips: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Zeros around (N, C, T, H, W), so that there are as many places as the sizes over the strides, rounded up."""
    sides: list[int] = []
    for size, wide, step in zip(reversed(clips.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        needed = max(wide - (size % step or step), 0)
        sides += [needed // 2, needed - needed // 2]
    return pad(clips, sides) if any(sides) else clips


def pool_same(clips: Tensor, kernel: _Triple, stride: _Triple) -> Tensor:
    """Maximum over windows, zeros around."""
    return max_pool3d(pad_same(clips, kernel, stride), kernel, stride)


def read_i3d(path: Path, device: torch.device) -> I3d:
    """The network with the parameters of a file.

    Raises:
        InputError: The file is damaged or of another network.
    """
    return read_backbone(path, I3d, device, name="I3D")
