"""The distance-transform module: sees where lines should be, and brings the drawn frame closer to that.

Source: Chen & Zwicker, "Improving the Perceptual Quality of 2D Animation Interpolation", ECCV 2022, section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animegen_eisai.half_warp import HalfWarp
from animegen_eisai.layers import Chain, logit, unit
from animegen_eisai.lines import TRAINED_HEIGHT, nedt
from animegen_eisai.strips import in_strips


class DistanceTransformModule(nn.Module):
    """Refines what `SoftsplatLite` drew."""

    def __init__(self) -> None:
        super().__init__()
        self.net_nedt = Chain([*unit(14, 16), *unit(16, 16), *unit(16, 1, norm=False)])
        self.net_tail = Chain([*unit(5, 16), *unit(16, 16), *unit(16, 16), *unit(16, 3, norm=False)])

    def forward(self, image: Tensor, warp: HalfWarp) -> tuple[Tensor, Tensor]:
        """The refined frame, and the distances to lines that it should have.

        Args:
            image: (N, 3, H, W) RGB in [0, 1].
            warp: The two frames moved to its time, with their distances as fourth channel.

        Returns:
            (N, 3, H, W) and (N, 1, H, W), both in (0, 1). No gradient goes from the first to the second.
        """
        found = nedt(image, min(image.shape[2:]) / TRAINED_HEIGHT).to(image.dtype)
        seen = (image, found, *warp.bases, *warp.masks)
        wanted = torch.sigmoid(in_strips(self._net_nedt, seen, halo=3))
        change = in_strips(self._net_tail, (image, found, wanted.detach()), halo=4)
        return torch.sigmoid(logit(image) + change), wanted

    def _net_nedt(self, x: Tensor) -> Tensor:
        result: Tensor = self.net_nedt(logit(x.clamp(0, 1)))
        return result

    def _net_tail(self, x: Tensor) -> Tensor:
        result: Tensor = self.net_tail(logit(x.clamp(0, 1)))
        return result
