"""Drawings to first guesses of their motion: segmented and described once each, matched for each pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from animegen._cv2 import cv2
from animegen_animeinterp.matching.features import region_features
from animegen_animeinterp.matching.guidance import guide
from animegen_animeinterp.matching.similarity import match, similarity
from animegen_animeinterp.matching.sizes import working_size
from animegen_animeinterp.regions import Regions
from animegen_animeinterp.segmentation import segment
from animegen_torch.pictures import to_tensor
from animegen_torch.precision import tf32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image
    from animegen_torch.vgg19 import Vgg19


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture taken apart.

    Attributes:
        image: (H, W, 3) uint8 RGB at the size it was segmented at.
        regions: Its regions.
        features: (R, 960), what each looks like.
    """

    image: Image
    regions: Regions
    features: NDArray[np.float32]


class Matcher:
    """Segment-guided matching (section 4.1) with a network that describes regions.

    Args:
        network: VGG19 with `features.LAYERS` layers, in float32: matches must not hang on the last bits of it.
        device: Where the network is.
        style: As for `segmentation.segment`.
        published: As for `working_size`.
    """

    def __init__(self, network: Vgg19, device: torch.device, *, style: str, published: bool = False) -> None:
        self._network, self._device = network, device
        self._style, self._published = style, published

    def drawing(self, image: Image) -> Drawing:
        """What is known of a picture, (H, W, 3) uint8 RGB, by itself."""
        return self.described(*self.segmented(image))

    def segmented(self, image: Image) -> tuple[Image, Regions]:
        """A picture at the working size, and its regions."""
        height, width = working_size(image.shape[:2], published=self._published)
        small: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return small, Regions.of(segment(small, self._style))

    def described(self, image: Image, regions: Regions) -> Drawing:
        """A picture that was segmented, with what each of its regions looks like."""
        with torch.inference_mode(), tf32(False):
            return Drawing(image, regions, region_features(self._network, to_tensor(image, self._device), regions))

    def guides(self, first: Drawing, last: Drawing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """First guesses from the first drawing to the last and back, (2, h, w) each, (dx, dy) at the working size."""
        alike = similarity(first.features, last.features, first.regions, last.regions)
        there, back = match(alike)
        threads = torch.get_num_threads()
        return (
            guide(first.image, last.image, first.regions, last.regions, there, threads=threads),
            guide(last.image, first.image, last.regions, first.regions, back, threads=threads),
        )
