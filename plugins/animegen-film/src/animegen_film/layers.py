"""Layers of FILM, under the names of the port to PyTorch, and how they run fast without gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, leaky_relu_, pad

from animegen_torch import winograd

SLOPE = 0.2


class Convolution(nn.Sequential):
    """A convolution over zeros around, then leaky ReLU unless it is linear.

    A kernel of 2 × 2 sees a row and a column of zeros below and at the right alone, as TensorFlow pads.
    """

    def __init__(self, before: int, after: int, size: int, *, linear: bool = False) -> None:
        super().__init__(nn.Conv2d(before, after, size, padding=size // 2 if size % 2 else 0))
        self.linear = linear

    @property
    def layer(self) -> nn.Conv2d:
        """The convolution itself."""
        layer = self[0]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        if layer.kernel_size == (2, 2):
            x = pad(x, (0, 1, 0, 1))
        if winograd.pays(x, layer.weight):
            x = winograd.three_rows(x, layer.weight, layer.bias)
        else:
            x = layer(x)
        if self.linear:
            return x
        return leaky_relu(x, SLOPE) if x.requires_grad else leaky_relu_(x, SLOPE)


class Doubling(Convolution):
    """Twice as large by repeating each pixel, then a linear 2 × 2 convolution: (N, C, h, w) to (N, C', 2 h, 2 w).

    Of the four pixels that a kernel sees, some are the same pixel of the small picture: which, depends only on whether
    row and column are even. Four small kernels, with what meets the same pixel added up, need 9 products in place
    of 16 and never see the large picture.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 2, linear=True)
        self._parts: tuple[Tensor, ...] = ()

    def fuse(self) -> None:
        """Work out the small kernels; weights must not change afterwards."""
        weight = self.layer.weight.detach()
        rows = (weight.sum(2, keepdim=True), weight)
        self._parts = tuple(
            part.contiguous(memory_format=torch.channels_last)
            for row in rows
            for part in (row.sum(3, keepdim=True), row)
        )

    def forward(self, x: Tensor) -> Tensor:
        if not self._parts:
            return super().forward(interpolate(x, scale_factor=2, mode="nearest"))
        n, _, height, width = x.shape
        result = x.new_empty(n, 2 * height, 2 * width, self.layer.out_channels).permute(0, 3, 1, 2)
        below = pad(x, (0, 1, 0, 1))
        for number, kernel in enumerate(self._parts):
            down, right = divmod(number, 2)
            seen = below[:, :, : height + down, : width + right]
            result[:, :, down::2, right::2] = conv2d(seen, kernel, self.layer.bias)
        return result
