"""Frames that show again what the one before showed: drawings held for two or three frames, with the codec's noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from animegen._cv2 import cv2
from animegen_eisai.colours import lab

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image

FIELDS = ("rgb_mean", "rgb_max", "lab_mean", "lab_max", "psnr", "ssim")
_LAB_MEAN, _LAB_MAX, _INTERCEPT = -2.15927968008257, -0.20383991277453878, 4.087916207710239
"""The authors' linear classifier."""
_TAPS, _SIGMA = 11, 1.5
_STEADY = 0.01**2, 0.03**2


@dataclass(frozen=True)
class Change:
    """How a frame differs from the one before.

    Attributes:
        rgb_mean, rgb_max: Of the absolute differences of all channels, in [0, 1].
        lab_mean, lab_max: Of the distances of pixels in CIE Lab.
        psnr: dB; 100 for equal frames.
        ssim: Structural similarity.
    """

    rgb_mean: float
    rgb_max: float
    lab_mean: float
    lab_max: float
    psnr: float
    ssim: float

    @property
    def is_duplicate(self) -> bool:
        """Whether the frame shows nothing new."""
        return _LAB_MEAN * self.lab_mean + _LAB_MAX * self.lab_max + _INTERCEPT > 0


NONE = Change(0.0, 0.0, 0.0, 0.0, 100.0, 1.0)
"""Of a frame from itself."""


class ChangeDetector:
    """Frame after frame, on the processor; each is taken to Lab once."""

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.float32], Tensor] | None = None

    @torch.inference_mode()
    def __call__(self, frame: Image) -> Change | None:
        """How a frame, (H, W, 3) uint8 RGB, differs from the one of the last call; None for the first one."""
        image = frame.astype(np.float32) / np.float32(255)
        colours = lab(torch.from_numpy(image).permute(2, 0, 1)[None])
        before, self._before = self._before, (image, colours)
        if before is None:
            return None
        difference = np.abs(before[0] - image)
        distance = (before[1] - colours).square().sum(1).sqrt()
        error = float(np.square(difference, dtype=np.float64).mean())
        return Change(
            float(difference.mean(dtype=np.float64)),
            float(difference.max()),
            float(distance.mean()),
            float(distance.max()),
            -10 * math.log10(error + 1e-10),
            ssim(before[0], image),
        )


def ssim(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Structural similarity of two images, (H, W, 3) in [0, 1], by a Gaussian window; the mean over all pixels.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004.
    """
    mean_a, mean_b, aa, bb, ab = (_blurred(one) for one in (a, b, a * a, b * b, a * b))
    variance_a, variance_b, covariance = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    c1, c2 = _STEADY
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return float((luminance * structure).mean(dtype=np.float64))


def _blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    at = np.arange(_TAPS) - _TAPS // 2
    kernel = np.exp(-((at / _SIGMA) ** 2) / 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101))
