"""What a region looks like: features of VGG19, averaged over it at four sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from animegen_torch.vgg19 import Vgg19

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animegen_animeinterp.regions import Regions

LAYERS = 4
CHANNELS = 64 + 128 + 256 + 512
AT_ONCE = 16
"""Rows of pixels that are summed at once, in float64: so that their order does not matter, on any device."""


def region_features(network: Vgg19, picture: Tensor, regions: Regions) -> NDArray[np.float32]:
    """Features of each region, of least value 0 and sum 1.

    Args:
        network: With `LAYERS` layers.
        picture: (1, 3, H, W) RGB in [0, 1], the drawing that was segmented.

    Returns:
        (R, 960). A region that has no pixel left at a layer's size has zeros there; one whose features are
        all equal stays all zero.
    """
    labels = torch.from_numpy(regions.labels).to(picture.device, torch.long)
    count = len(regions.areas)
    layers = []
    for layer in network.each(picture):
        layers.append(_means(layer[0], labels, count))
        del layer  # before the next layer is made: these are the largest tensors here
        labels = labels[1::2, 1::2]
    pooled = torch.cat(layers, 1)
    pooled = pooled - pooled.amin(1, keepdim=True)
    total = pooled.sum(1, keepdim=True)
    features: NDArray[np.float32] = (pooled / torch.where(total == 0, 1, total)).float().cpu().numpy()
    return features


def _means(features: Tensor, labels: Tensor, count: int) -> Tensor:
    """(R, C) float64: mean of (C, h, w) over each region."""
    if features.device.type == "mps":  # which has no float64
        features, labels = features.cpu(), labels.cpu()
    areas = torch.bincount(labels.flatten(), minlength=count).clamp(min=1)
    total = torch.zeros(count, len(features), dtype=torch.float64, device=features.device)
    for row in range(0, features.shape[1], AT_ONCE):
        pixels = features[:, row : row + AT_ONCE].permute(1, 2, 0).flatten(0, 1).double()
        total.index_add_(0, labels[row : row + AT_ONCE].flatten(), pixels)
    return total / areas[:, None]
