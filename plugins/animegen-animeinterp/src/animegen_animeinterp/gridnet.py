"""GridNet: three rows at full, half and quarter size, two columns down and two up (Fourure et al., BMVC 2017)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate

WIDTHS = (32, 64, 96)
"""Channels of the rows."""
HEADS = {"head": (6, 0), "head1": (64, 0), "head2": (128, 1), "head3": (192, 2)}
"""Channels that come in, and the row they go to."""
LATERALS = ("01", "04", "05", "11", "14", "15", "21", "24", "25")
"""Blocks along a row, by the published names: row and column."""


class GridNet(nn.Module):
    """Draws the picture from both images and their features, moved to one time. Names are the published ones."""

    def __init__(self) -> None:
        super().__init__()
        for name, (channels, row) in HEADS.items():
            self.add_module(f"residual_model_{name}", nn.Sequential(*_layers(channels, WIDTHS[row])))
        for name in LATERALS:
            width = WIDTHS[int(name[0])]
            self.add_module(f"residual_model_{name}", nn.Sequential(*_layers(width, width)))
        for name in ("10", "11", "20", "21"):
            above, width = WIDTHS[int(name[0]) - 1], WIDTHS[int(name[0])]
            self.add_module(f"downsample_model_{name}", nn.Sequential(*_layers(above, width, stride=2)))
        for name in ("04", "05", "14", "15"):
            width, below = WIDTHS[int(name[0])], WIDTHS[int(name[0]) + 1]
            self.add_module(f"upsample_model_{name}", nn.Sequential(_Double(), *_layers(below, width)))
        self.residual_model_tail = nn.Sequential(*_layers(WIDTHS[0], 3))

    def forward(self, images: Tensor, full: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """The picture, not cut to [0, 1].

        Args:
            images: (N, 6, H, W), both images one after the other; H and W multiples of 4.
            full, half, quarter: (N, 64, H, W), (N, 128, H/2, W/2), (N, 192, H/4, W/4): their features.

        Returns:
            (N, 3, H, W).
        """
        a = self._residual("head", images) + self._residual("head1", full)
        b = self._down("10", a) + self._residual("head2", half)
        c = self._down("20", b) + self._residual("head3", quarter)
        a = self._along("01", a)
        b = self._along("11", b) + self._down("11", a)
        c = self._along("21", c) + self._down("21", b)
        for column in ("4", "5"):
            c = self._along(f"2{column}", c)
            b = self._up(f"1{column}", c) + self._along(f"1{column}", b)
            a = self._up(f"0{column}", b) + self._along(f"0{column}", a)
        return self._residual("tail", a)

    def _along(self, name: str, x: Tensor) -> Tensor:
        return self._residual(name, x) + x

    def _residual(self, name: str, x: Tensor) -> Tensor:
        return self._run(f"residual_model_{name}", x)

    def _down(self, name: str, x: Tensor) -> Tensor:
        return self._run(f"downsample_model_{name}", x)

    def _up(self, name: str, x: Tensor) -> Tensor:
        return self._run(f"upsample_model_{name}", x)

    def _run(self, name: str, x: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(name)(x)
        return result


class _Double(nn.Module):
    """Twice the size, bilinear."""

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _layers(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.PReLU(), nn.Conv2d(before, after, 3, stride, 1), nn.PReLU(), nn.Conv2d(after, after, 3, 1, 1)
