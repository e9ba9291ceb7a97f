"""How far a drawn frame is off: LPIPS of the picture, and where its lines are thought to be.

Source: Chen & Zwicker, ECCV 2022, after the released training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from animegen_eisai.lines import nedt

if TYPE_CHECKING:
    from animegen_torch.perceptual import Perceptual

LEVELS = 3
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses of a batch, each a mean over its samples.

    Attributes:
        total: What is learnt from.
        lpips: 0 where it has no weight.
        distances: Of distances to lines.
    """

    total: Tensor
    lpips: Tensor
    distances: Tensor


class Objective:
    """The loss of drawn frames.

    Args:
        lpips: LPIPS, fed with pictures in [0, 1] as they are, as the original does; None where it has no weight.
        perceptual, distance: Weights.
    """

    def __init__(self, lpips: Perceptual | None, perceptual: float, distance: float) -> None:
        self._lpips, self._weights = lpips, (perceptual, distance)

    @property
    def sees_frames(self) -> bool:
        """Whether it hangs on the drawn frame, and not on its distances to lines alone."""
        return self._lpips is not None

    def __call__(self, drawn: Tensor, thought: Tensor, truth: Tensor) -> Losses:
        """The losses.

        Args:
            drawn: (N, 3, H, W) in [0, 1].
            thought: (N, 1, H, W) distances to lines that the network expects.
            truth: (N, 3, H, W), the true frame.
        """
        lpips = drawn.new_zeros(())
        if self._lpips is not None:
            with torch.no_grad():
                wanted = self._lpips.features(truth)
            lpips = self._lpips.distance(self._lpips.features(drawn), wanted).mean()
        distances = pyramid_difference(thought.float(), nedt(truth)).mean()
        total = self._weights[0] * lpips + self._weights[1] * distances
        return Losses(total, lpips, distances)


def pyramid_difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of maps (N, 1, H, W), averaged over a Gaussian pyramid of three levels: (N,)."""
    difference = a - b  # blurring and halving are linear
    found = []
    for level in range(LEVELS):
        if level:
            difference = halved(difference)
        found.append(difference.abs().mean((1, 2, 3)))
    return torch.stack(found).mean(0)


def halved(image: Tensor) -> Tensor:
    """(N, 1, H, W) at half its size, blurred by a binomial of five before (Burt & Adelson 1983)."""
    kernel = image.new_tensor(_BINOMIAL)
    image = pad(image, (2, 2, 2, 2), mode="reflect")
    image = conv2d(conv2d(image, kernel.view(1, 1, 5, 1)), kernel.view(1, 1, 1, 5))
    return interpolate(image, scale_factor=0.5, mode="bilinear", recompute_scale_factor=False)
