"""SoftsplatLite: a frame at any time between two, from the frames and the flows between them.

Source: Chen & Zwicker, "Improving the Perceptual Quality of 2D Animation Interpolation", ECCV 2022, section 3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from animegen_eisai.colours import lab
from animegen_eisai.features import Features
from animegen_eisai.gridnet import WIDTHS, Converter, GridNet
from animegen_eisai.half_warp import HalfWarp, Side, half_warp, mean_base, similarity
from animegen_eisai.layers import Residual, logit, unit
from animegen_eisai.lines import TRAINED_HEIGHT, nedt
from animegen_eisai.strips import in_strips

_IMAGES = 5
_INPUTS = 3 * _IMAGES + 2 + 2 + WIDTHS[0]


@dataclass(frozen=True, eq=False)
class Frame:
    """What is found of one frame, whatever frame it is paired with.

    Attributes:
        image: (N, 4, H, W): RGB in [0, 1], and its `nedt`.
        lab: (N, 3, H, W).
        features: Three levels, the finest first.
    """

    image: Tensor
    lab: Tensor
    features: tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Pair:
    """What is found of two frames, whatever time between them is asked for.

    Attributes:
        first, last: The frames with where they move, at full size.
        levels: The same of their features, (first, last) of each level.
    """

    first: Side
    last: Side
    levels: tuple[tuple[Side, Side], ...]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A frame between two.

    Attributes:
        image: (N, 3, H, W) in (0, 1).
        warp: The two frames moved to its time, with their `nedt` as fourth channel.
        grid: (N, 32, h, w): what the features come to.
    """

    image: Tensor
    warp: HalfWarp
    grid: Tensor


class SoftsplatLite(nn.Module):
    """The synthesiser.

    At 540 × 960 it is the original's. At any other size its features see the frame with a short side of 256, as
    there, lines are looked for in the width that they have there, and the rest is done at the frame's own size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = Features()
        self.gridnet_converter = Converter()
        self.gridnet = GridNet()
        self.synthesizer = _Synthesizer()

    def forward(self, first: Tensor, last: Tensor, to_first: Tensor, to_last: Tensor, time: float = 0.5) -> Drawn:
        """The frame at `time`.

        Args:
            first, last: (N, 3, H, W) RGB in [0, 1].
            to_first: (N, 2, H, W), (dx, dy) in pixels, from the pixels of `last` to where they are in `first`.
            to_last: From those of `first` to `last`.
            time: In (0, 1).
        """
        return self.draw(self.pair(self.encode(first), self.encode(last), to_first, to_last), time)

    def encode(self, image: Tensor) -> Frame:
        """What is to be known of a frame, (N, 3, H, W) RGB in [0, 1]."""
        sigma = min(image.shape[2:]) / TRAINED_HEIGHT
        return Frame(torch.cat((image, nedt(image, sigma)), 1), lab(image), self.feature_extractor(image))

    def pair(self, first: Frame, last: Frame, to_first: Tensor, to_last: Tensor) -> Pair:
        """What is to be known of two frames and the flows between them."""
        one = Side(first.image, to_last, similarity(first.lab, last.lab, to_last))
        other = Side(last.image, to_first, similarity(last.lab, first.lab, to_first))
        levels = tuple(
            (one.with_values(a), other.with_values(b)) for a, b in zip(first.features, last.features, strict=True)
        )
        return Pair(one, other, levels)

    def draw(self, pair: Pair, time: float) -> Drawn:
        """The frame at `time` between the two of `pair`."""
        warp = half_warp(pair.first, pair.last, time)
        grid = self.gridnet(self.gridnet_converter([mean_base(*level, time) for level in pair.levels]))
        return Drawn(self.synthesizer(warp, grid), warp, grid)


class _Synthesizer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(_INPUTS, 64, 1),
            Residual(64),
            nn.Sequential(*unit(64, 32)),
            Residual(32),
            nn.Sequential(*unit(32, 16)),
            Residual(16),
            nn.Sequential(*unit(16, 3, norm=False)),
        )

    def forward(self, warp: HalfWarp, grid: Tensor) -> Tensor:
        bases, moved = ([image[:, :3] for image in images] for images in (warp.bases, warp.moved))
        size = bases[0].shape[2:]
        mean = logit((bases[0] + bases[1]) / 2)
        parts = [mean, *(logit(image) for image in (*bases, *moved))]
        # The last frame's flow stands first: flows are numbered by where they lead.
        parts += [flow.square().sum(1, keepdim=True).sqrt() / math.hypot(*size) for flow in warp.flows[::-1]]
        parts += [*warp.masks, interpolate(grid, size, mode="bilinear")]
        return torch.sigmoid(mean + 0.5 * in_strips(self.net, parts, halo=9))
