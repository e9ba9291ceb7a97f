"""At which size a pair is drawn, and the way there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.nn.functional import interpolate

from animegen_eisai.network import LEAST_SIDE
from animegen_torch.padding import Padding
from animegen_torch.pictures import to_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

PUBLISHED = (540, 960)
"""(H, W) of training, and of every picture under `published`."""
LONGEST = 1920
"""Longest side under `fitted`, px."""


@dataclass(frozen=True)
class Way:
    """From pictures of one size to what the networks see, and back.

    Attributes:
        source: (H, W) of the pictures.
        drawn: (H, W) they are scaled to.
        padding: What is added then where that is too small for the flow: the rim repeated.
        headroom: Share of the range left free at both ends.
        truncated: Levels are cut off rather than rounded, as the original does.
    """

    source: tuple[int, int]
    drawn: tuple[int, int]
    padding: Padding
    headroom: float
    truncated: bool

    @classmethod
    def of(cls, source: tuple[int, int], size: str, headroom: float = 0.0) -> Way:
        """The way for an option `size`: ``fitted``, ``own`` or ``published``."""
        drawn = size_drawn(source, size)
        padding = Padding.to_multiple(drawn, 1, fill="replicate", smallest=LEAST_SIDE)
        return cls(source, drawn, padding, headroom, truncated=size == "published")

    def there(self, picture: NDArray[np.uint8], device: torch.device) -> Tensor:
        """(H, W, 3) uint8 as (1, 3, h, w) float32 on `device`, about in [0, 1]."""
        if self.drawn != self.source:
            height, width = self.drawn
            # Pillow's filter widens where a picture shrinks; the networks were shown what it makes.
            scaled = Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BILINEAR)
            picture = np.asarray(scaled)
        image = self.padding.pad(to_tensor(picture, device))
        return image * (1 - 2 * self.headroom) + self.headroom if self.headroom else image

    def back(self, image: Tensor) -> Tensor:
        """What the networks drew, at the size of the pictures: (N, 3, H, W), in whole levels over 255."""
        image = self.padding.crop(image)
        if self.headroom:
            image = (image - self.headroom) / (1 - 2 * self.headroom)
        if self.drawn != self.source:
            image = interpolate(image, self.source, mode="bilinear")
        return image.clamp(0, 1).mul(255).floor() / 255 if self.truncated else image


def size_drawn(source: tuple[int, int], size: str) -> tuple[int, int]:
    """(H, W) that pictures of `source` (H, W) are drawn at, before any padding."""
    if size == "own":
        return source
    if size == "published":
        return PUBLISHED
    scale = min(PUBLISHED[0] / min(source), LONGEST / max(source))
    height, width = (max(1, round(side * scale)) for side in source)
    return height, width
