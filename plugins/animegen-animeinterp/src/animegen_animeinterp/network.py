"""AnimeInterp: both images and their features are moved along the flow to one time, and a picture is drawn from them.

Source: Siyao et al., "Deep Animation Video Interpolation in the Wild", CVPR 2021, sections 4.2 and 4.3. Parameters have
the names of the published file without its ``module.``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from animegen_animeinterp.gridnet import GridNet
from animegen_torch.rfr import Rfr
from animegen_torch.splatting import scatter

ITERATIONS = 12
MULTIPLE = 4
"""Sides of the images; the flow takes any."""
LEVELS = (32, 64, 96)
"""Channels of the features at full, half and quarter size."""


@dataclass(frozen=True, eq=False)
class Frame:
    """An image as the network knows it.

    Attributes:
        image: (1, 3, H, W) in [0, 1].
        features: At full, half and quarter size, (1, 32, H, W), (1, 64, H/2, W/2), (1, 96, H/4, W/4).
        motion: What its flow is sought with, (1, 256, H // 8, W // 8).
    """

    image: Tensor
    features: tuple[Tensor, ...]
    motion: Tensor


class AnimeInterp(nn.Module):
    """Frames at any time between two images."""

    def __init__(self) -> None:
        super().__init__()
        self.flownet = Rfr()
        self.feat_ext = _Features()
        self.synnet = GridNet()

    def forward(
        self,
        first: Tensor,
        last: Tensor,
        time: float,
        *,
        guides: tuple[Tensor | None, Tensor | None] = (None, None),
        iterations: int = ITERATIONS,
    ) -> Tensor:
        """The frame at `time`, all in one; a stage takes the steps apart, to do each once.

        Args:
            first, last: (1, 3, H, W) RGB in [0, 1]; H and W multiples of `MULTIPLE`.
            time: Between 0 and 1.
            guides: First guesses of the flow from the first to the last image and back, (1, 2, H, W), (dx, dy).
            iterations: Steps of the flow.

        Returns:
            (1, 3, H, W), not cut to [0, 1].
        """
        one, other = self.encode(first), self.encode(last)
        return self.draw(one, other, self.flows(one, other, guides=guides, iterations=iterations), time)

    def encode(self, image: Tensor) -> Frame:
        """What is known of an image by itself."""
        centred = 2 * image - 1
        return Frame(image, self.feat_ext(centred), self.flownet.encode(centred))

    def flows(
        self,
        first: Frame,
        last: Frame,
        *,
        guides: tuple[Tensor | None, Tensor | None] = (None, None),
        iterations: int = ITERATIONS,
    ) -> tuple[Tensor, Tensor]:
        """The flow from the first image to the last and back, (1, 2, H, W) each, float32."""
        height, width = first.image.shape[2:]
        size = (height, width)
        there = self.flownet.between(first.motion, last.motion, size, initial=guides[0], iterations=iterations)
        back = self.flownet.between(last.motion, first.motion, size, initial=guides[1], iterations=iterations)
        return there, back

    def draw(self, first: Frame, last: Frame, flows: tuple[Tensor, Tensor], time: float) -> Tensor:
        """The frame at `time`, (1, 3, H, W), not cut to [0, 1]."""
        moves = time * flows[0], (1 - time) * flows[1]
        joined: list[Tensor] = []
        for level in range(len(LEVELS)):
            moved = [_moved(frame, flow, level) for frame, flow in zip((first, last), moves, strict=True)]
            if level == 0:
                joined.append(torch.cat([both[:, :3] for both in moved], 1))
                moved = [both[:, 3:] for both in moved]
            joined.append(torch.cat(moved, 1))
            del moved  # the largest tensors here
        result: Tensor = self.synnet(*joined)
        return result


def _moved(frame: Frame, flow: Tensor, level: int) -> Tensor:
    """A level of features moved along a flow, the image before it where it is of the same size.

    Averages where several pixels land, divided by however little does, so that positions count to their last bit; 0
    where none lands.
    """
    values = frame.features[level]
    if level == 0:  # where pixels land is worked out once for both
        values = torch.cat((frame.image, values, torch.ones_like(values[:, :1])), 1)
    else:
        flow = _shrunk(flow, values)
        values = torch.cat((values, torch.ones_like(values[:, :1])), 1)
    sums = scatter(values.to(flow.dtype), flow)
    total, weights = sums[:, :-1], sums[:, -1:]
    return (total / torch.where(weights == 0, 1, weights)).to(values.dtype)


class _Features(nn.Module):
    """Features of (N, 3, H, W) in [-1, 1] at three sizes."""

    def __init__(self) -> None:
        super().__init__()
        before = 3
        for level, width in enumerate(LEVELS):
            for number, channels in ((2 * level + 1, before), (2 * level + 2, width)):
                stride = 2 if level and number % 2 else 1
                self.add_module(f"conv{number}", nn.Conv2d(channels, width, 3, stride, 1))
                self.add_module(f"prelu{number}", nn.PReLU())
            before = width

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        found = []
        for number in range(1, 2 * len(LEVELS) + 1):
            x = self.get_submodule(f"prelu{number}")(self.get_submodule(f"conv{number}")(x))
            if number % 2 == 0:
                found.append(x)
        return tuple(found)


def _shrunk(flow: Tensor, like: Tensor) -> Tensor:
    """The flow at a smaller size, in the pixels of that size: as published, of every few pixels one."""
    height, width = like.shape[2:]
    scale = flow.new_tensor((width / flow.shape[3], height / flow.shape[2])).view(1, 2, 1, 1)
    return interpolate(flow, (height, width), mode="nearest") * scale
