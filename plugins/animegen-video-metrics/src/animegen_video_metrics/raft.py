"""Optical flow by torchvision's RAFT-large."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torchvision.models.optical_flow import raft_large

from animegen_torch.backbones import read_backbone
from animegen_torch.padding import Padding
from animegen_torch.pictures import to_tensor
from animegen_video_metrics.warping import resize_flow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image

RAFT_LEAST = 128
"""Below this many pixels RAFT's coarsest level is empty: smaller pictures are made larger for it."""


class Raft:
    """RAFT-large (Teed & Deng 2020) of torchvision.

    Args:
        path: torchvision's file of parameters.
        device: Where it runs.
        updates: Rounds of refinement.

    Raises:
        InputError: The file is damaged or of another network.
    """

    def __init__(self, path: Path, device: torch.device, updates: int = 12) -> None:
        self._device = device
        self._updates = updates
        self._network: Any = read_backbone(path, lambda: raft_large(weights=None), device, name="RAFT-large")

    def __call__(self, one: Image, other: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        height, width = one.shape[:2]
        grown = max(1.0, RAFT_LEAST / min(height, width))
        size = (max(RAFT_LEAST, round(height * grown)), max(RAFT_LEAST, round(width * grown)))
        size = (height, width) if grown == 1 else size
        pictures = [
            image if grown == 1 else cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
            for image in (one, other)
        ]
        padding = Padding.to_multiple(size, 8, fill="replicate")
        both = padding.pad(to_tensor(np.stack(pictures), self._device) * 2 - 1)
        found = self._network(both, both.flip(0), num_flow_updates=self._updates)[-1]
        flows = padding.crop(found).permute(0, 2, 3, 1).float().cpu().numpy()
        if grown > 1:
            return resize_flow(flows[0], height, width), resize_flow(flows[1], height, width)
        return np.ascontiguousarray(flows[0]), np.ascontiguousarray(flows[1])
