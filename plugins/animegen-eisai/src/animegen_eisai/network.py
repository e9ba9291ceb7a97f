"""EISAI as a whole: flow, synthesis and refinement, each part of the work done once for all that need it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from animegen_eisai.layers import fuse
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.synthesis import Frame, Pair, SoftsplatLite
from animegen_torch.rfr import Rfr

LEAST_SIDE = 128
"""Least height and width, px: below it the original's flow is not a number."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of one frame.

    Attributes:
        frame: For the synthesis.
        motion: Features for the flow.
        size: (H, W).
    """

    frame: Frame
    motion: Tensor
    size: tuple[int, int]


class Eisai:
    """The three networks, in float32 or with their convolutions in another format.

    Attributes:
        flow, synthesis, refinement: Refinement is None where it is not wanted.
        dtype: Of products; places, distances and sums of splats stay in float32.
    """

    def __init__(
        self,
        flow: Rfr,
        synthesis: SoftsplatLite,
        refinement: DistanceTransformModule | None,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        networks = [network for network in (synthesis, refinement) if network is not None]
        for network in networks:
            network.to(self.device).eval().requires_grad_(False)
            fuse(network)
        self.flow = flow.to(self.device, dtype).eval().requires_grad_(False)
        self.synthesis, self.refinement = synthesis, refinement

    def know(self, image: Tensor) -> Known:
        """What is to be known of a frame, (N, 3, H, W) RGB in [0, 1], H and W at least `LEAST_SIDE`."""
        height, width = image.shape[2:]
        with torch.inference_mode(), self._products():
            return Known(self.synthesis.encode(image), self.flow.encode(image.to(self.dtype)), (height, width))

    def pair(self, first: Known, last: Known, iterations: int = 12) -> Pair:
        """What is to be known of two frames: `flows`, and what follows from them."""
        return self.pair_along(first, last, *self.flows(first, last, iterations))

    def flows(self, first: Known, last: Known, iterations: int = 12) -> tuple[Tensor, Tensor]:
        """The flows (to the first frame, to the last), each (N, 2, H, W), (dx, dy) in pixels, float32."""
        with torch.inference_mode():
            to_last = self.flow.between(first.motion, last.motion, first.size, iterations=iterations)
            to_first = self.flow.between(last.motion, first.motion, first.size, iterations=iterations)
        return to_first, to_last

    def pair_along(self, first: Known, last: Known, to_first: Tensor, to_last: Tensor) -> Pair:
        """`pair` along flows that come from elsewhere."""
        with torch.inference_mode():
            return self.synthesis.pair(first.frame, last.frame, to_first, to_last)

    def draw(self, pair: Pair, time: float) -> Tensor:
        """The frame at `time`, in (0, 1): (N, 3, H, W) float32."""
        with torch.inference_mode(), self._products():
            drawn = self.synthesis.draw(pair, time)
            image = drawn.image
            if self.refinement is not None:
                image, _ = self.refinement(image, drawn.warp)
        return image.float()

    def _products(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)
