"""Both frames moved part of the way to a time between them, and what lands nowhere filled from the other.

Source: Chen & Zwicker, ECCV 2022, section 3.2, on softmax splatting (Niklaus & Liu, CVPR 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from animegen_torch.splatting import splat_weighted
from animegen_torch.warp import warp

OPENING = 5
"""Side of the box that coverage is opened with, px."""
_FALLOFF = -0.1


@dataclass(frozen=True, eq=False)
class Side:
    """What is moved from one of two frames towards the other.

    Attributes:
        values: (N, C, H, W): its colours, or features of it.
        flow: (N, 2, H, W), (dx, dy) in pixels, to where its pixels are in the other frame.
        metric: (N, 1, H, W): the logarithm of how much each of its pixels counts where several land on one.
    """

    values: Tensor
    flow: Tensor
    metric: Tensor

    def with_values(self, values: Tensor) -> Side:
        """Other values under the same motion, brought to their size."""
        size = values.shape[2:]
        if size == self.flow.shape[2:]:
            return Side(values, self.flow, self.metric)
        by = self.flow.new_tensor((size[1] / self.flow.shape[3], size[0] / self.flow.shape[2])).view(1, 2, 1, 1)
        return Side(
            values,
            interpolate(self.flow, size, mode="bilinear") * by,
            interpolate(self.metric, size, mode="bilinear"),
        )


@dataclass(frozen=True, eq=False)
class HalfWarp:
    """Two frames at a time between them; each field is a pair (from the first frame, from the last).

    Attributes:
        bases: (N, C, H, W): what was moved from one frame, and where nothing of it landed, from the other.
        moved: (N, C, H, W): what was moved from one frame, 0 where nothing landed.
        flows: (N, 2, H, W): the flows it was moved by.
        masks: (N, 1, H, W) of 0 and 1: where something landed, opened.
    """

    bases: tuple[Tensor, Tensor]
    moved: tuple[Tensor, Tensor]
    flows: tuple[Tensor, Tensor]
    masks: tuple[Tensor, Tensor]


def similarity(own: Tensor, other: Tensor, flow: Tensor) -> Tensor:
    """How much each pixel of a frame resembles where `flow` leads it in the other: -0.1 × distance in Lab.

    Args:
        own, other: (N, 3, H, W) in Lab.
        flow: (N, 2, H, W), (dx, dy) in pixels, from `own` to `other`.

    Returns:
        (N, 1, H, W), 0 or less.
    """
    difference = own - warp(other, flow, convention="mixed")
    return _FALLOFF * difference.square().sum(1, keepdim=True).sqrt()


def half_warp(first: Side, last: Side, time: float) -> HalfWarp:
    """`first` and `last` moved to `time`, between 0 and 1."""
    flows = time * first.flow, (1 - time) * last.flow
    a, mask_a = _moved(first, flows[0])
    b, mask_b = _moved(last, flows[1])
    bases = torch.lerp(b, a, mask_a), torch.lerp(a, b, mask_b)
    return HalfWarp(bases, (a, b), flows, (mask_a, mask_b))


def mean_base(first: Side, last: Side, time: float) -> Tensor:
    """The mean of the two bases of `half_warp`."""
    a, mask_a = _moved(first, time * first.flow)
    b, mask_b = _moved(last, (1 - time) * last.flow)
    return torch.lerp(b, a, 0.5 + (mask_a - mask_b) / 2)


def _moved(side: Side, flow: Tensor) -> tuple[Tensor, Tensor]:
    """The values where they land, and where that is."""
    total, weights = splat_weighted(side.values, flow, side.metric.exp(), exact=True)
    landed = weights != 0
    return total / torch.where(landed, weights, 1), opened(landed.to(total.dtype))


def opened(mask: Tensor, side: int = OPENING) -> Tensor:
    """Morphological opening of (N, 1, H, W) in [0, 1] by a box; the border neither erodes nor dilates. No gradient."""
    with torch.no_grad():
        return _spread(-_spread(-mask, side), side)


def _spread(mask: Tensor, side: int) -> Tensor:
    reach = side // 2
    return max_pool2d(max_pool2d(mask, (side, 1), 1, (reach, 0)), (1, side), 1, (0, reach))
