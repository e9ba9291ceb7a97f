"""Built-in metrics of a clip against a reference of the same shape: PSNR, SSIM and line chamfer.

None of them can be read across sizes or colour spaces: compare systems on the same frames.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen._cv2 import cv2
from animegen.builtin.lines import line_distance, line_map, luma
from animegen.errors import UsageError
from animegen.measuring import Missing
from animegen.media import describe

if TYPE_CHECKING:
    from animegen.measuring import Sample, Scores
    from animegen.media import Image
    from animegen.stages import Context


class PairedMetric(ABC):
    """A metric that compares each frame with the true frame of its time."""

    name: str
    least_side = 1

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """The value of every frame.

        Raises:
            UsageError: Clip and reference are not (T, H, W, 3) uint8 RGB of one shape, or too small to measure.
        """
        frames, reference = sample.frames, sample.reference
        if reference is None:
            return {self.name: Missing("there are no true frames to compare with")}
        for clip in (frames, reference):
            if not (isinstance(clip, np.ndarray) and clip.dtype == np.uint8 and clip.ndim == 4 and clip.shape[3] == 3):
                raise UsageError(f"{self.name} reads (T, H, W, 3) uint8 RGB frames, not {describe(clip)}.")
        if frames.shape != reference.shape:
            raise UsageError(
                f"{self.name} compares clips of one shape: the clip is {frames.shape}, "
                f"the reference {reference.shape}.",
                hint="bring both to one size and length before measuring",
            )
        if not frames.size:
            raise UsageError(f"{self.name} needs at least one pixel in at least one frame.")
        if min(frames.shape[1:3]) < self.least_side:
            raise UsageError(f"{self.name} needs frames of at least {self.least_side} px a side, not {frames.shape}.")
        return {self.name: [self.frame(frame, truth) for frame, truth in zip(frames, reference, strict=True)]}

    @abstractmethod
    def frame(self, frame: Image, truth: Image) -> float:
        """The value of one (H, W, 3) uint8 frame."""


class Psnr(PairedMetric):
    """Peak signal-to-noise ratio over RGB, dB, peak 255; infinite for equal frames (and so for their mean)."""

    name = "psnr"

    def frame(self, frame: Image, truth: Image) -> float:
        squared = cv2.norm(frame, truth, cv2.NORM_L2SQR) / frame.size
        return float(10 * np.log10(255**2 / squared)) if squared else float("inf")


class Ssim(PairedMetric):
    """Structural similarity of Wang et al. 2004 ("Image quality assessment: from error visibility ..."), up to 1.

    Gaussian window 11 × 11 of sigma 1.5, variances with 1/N, only windows wholly inside the picture, L = 255,
    on each RGB channel, then the mean.
    """

    name = "ssim-wang2004"
    least_side = 11

    def frame(self, frame: Image, truth: Image) -> float:
        a, b = frame.astype(np.float64), truth.astype(np.float64)
        mean_a, mean_b = _window(a), _window(b)
        product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
        covariance = _window(a * b) - product
        variances = _window(a * a) + _window(b * b) - squares
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
        return float(similarity.mean())


def _window(values: Any) -> Any:
    """Gaussian-weighted means of all 11 × 11 windows inside the picture."""
    return cv2.GaussianBlur(values, (11, 11), sigmaX=1.5, sigmaY=1.5)[5:-5, 5:-5]


class LineChamfer(PairedMetric):
    """Mean distance between the drawn lines of two frames, as a share of the diagonal (EISAI; lower is better).

    The sum over one picture's line pixels of the distance to the other's nearest line, divided by *all* pixels
    and by the diagonal; averaged over both directions. 4e-5 is a good in-between. Where a picture has no line,
    the distance to it is the diagonal.
    """

    name = "line-chamfer"

    def frame(self, frame: Image, truth: Image) -> float:
        lines, true_lines = (line_map(luma(image)) for image in (frame, truth))
        missed = line_distance(lines)[true_lines].sum(dtype=np.float64)
        invented = line_distance(true_lines)[lines].sum(dtype=np.float64)
        return float((missed + invented) / 2 / lines.size / np.hypot(*lines.shape))
