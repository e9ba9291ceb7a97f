"""Optical flow without parameters: OpenCV's DIS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import cv2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animegen.media import Image

LEAST_SIDE = 16
"""Below this many pixels a side DIS fails."""


class FlowModel(Protocol):
    """Estimates optical flow."""

    def __call__(self, one: Image, other: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Flow from `one` to `other`, and back: (H, W, 2) float32 each, (dx, dy) in pixels."""
        ...


class Dis:
    """Dense inverse search (Kroeger et al. 2016) with OpenCV's medium preset, on luma."""

    def __init__(self) -> None:
        opencv: Any = cv2  # its stubs leave this one out
        self._estimator = opencv.DISOpticalFlow_create(opencv.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, one: Image, other: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        first, last = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (one, other))
        return self._estimator.calc(first, last, None), self._estimator.calc(last, first, None)
