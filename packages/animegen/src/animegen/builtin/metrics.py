"""Built-in metrics of a clip against the true one: PSNR, SSIM and line chamfer.

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
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Image
    from animegen.stages import Context


class PairedMetric(ABC):
    """A metric that compares each frame with the true frame of its time.

    Attributes:
        names: Of the quantities that it gives.
        least_side: Smallest height and width that it can measure, px.
    """

    names: tuple[str, ...]
    least_side = 1

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """The values of every frame.

        Raises:
            UsageError: Clip and reference are not (T, H, W, 3) uint8 RGB of one shape, or too small to measure.
        """
        frames, reference = sample.frames, sample.reference
        if reference is None:
            return dict.fromkeys(self.names, Missing("there are no true frames to compare with"))
        for clip in (frames, reference):
            if not (isinstance(clip, np.ndarray) and clip.dtype == np.uint8 and clip.ndim == 4 and clip.shape[3] == 3):
                raise UsageError(f"{self.names[0]} reads (T, H, W, 3) uint8 RGB frames, not {describe(clip)}.")
        if frames.shape != reference.shape:
            raise UsageError(
                f"{self.names[0]} compares clips of one shape: the clip is {frames.shape}, "
                f"the reference {reference.shape}.",
                hint="bring both to one size and length before measuring",
            )
        if not frames.size:
            raise UsageError(f"{self.names[0]} needs at least one pixel in at least one frame.")
        if min(frames.shape[1:3]) < self.least_side:
            raise UsageError(
                f"{self.names[0]} needs frames of at least {self.least_side} px a side, not {frames.shape}."
            )
        rows = [self.frame(frame, truth) for frame, truth in zip(frames, reference, strict=True)]
        return {name: [row[name] for row in rows] for name in self.names}

    @abstractmethod
    def frame(self, frame: Image, truth: Image) -> Mapping[str, Value]:
        """The values of one (H, W, 3) uint8 frame, by name."""
        ...


class Psnr(PairedMetric):
    """Peak signal-to-noise ratio over RGB, dB, peak 255; infinite for equal frames (and so for their mean)."""

    names = ("psnr",)

    def frame(self, frame: Image, truth: Image) -> Mapping[str, float]:
        squared = cv2.norm(frame, truth, cv2.NORM_L2SQR) / frame.size
        return {"psnr": float(10 * np.log10(255**2 / squared)) if squared else float("inf")}


class InterpolationError(PairedMetric):
    """Interpolation error, grey levels: mean over pixels of the Euclidean distance of two colours, RGB from 0 to 255.

    As in the tables of ATD-12K (Siyao et al., "Deep Animation Video Interpolation in the Wild", CVPR 2021).
    """

    names = ("interpolation-error",)

    def frame(self, frame: Image, truth: Image) -> Mapping[str, float]:
        difference = frame.astype(np.float64) - truth
        return {"interpolation-error": float(np.sqrt((difference**2).sum(axis=2)).mean())}


class Ssim(PairedMetric):
    """Structural similarity of Wang et al. 2004 ("Image quality assessment: from error visibility ..."), up to 1.

    * ``ssim-wang2004``: the paper's. Gaussian window of 11 × 11 and sigma 1.5, variances with 1/N, L = 255.
    * ``ssim-skimage``: what scikit-image does unasked. Uniform window of 7 × 7, variances with 1/(N - 1), L = 255.
    * ``ssim-atd12k``: what the tables of AnimeInterp and EISAI hold: the same, but with L = 2 for values in [0, 1],
      twice the true range, which makes every number larger. For comparing with those tables and nothing else.

    Only windows wholly inside the picture, on each RGB channel, then the mean.
    """

    names = ("ssim-wang2004", "ssim-skimage", "ssim-atd12k")
    least_side = 11

    def frame(self, frame: Image, truth: Image) -> Mapping[str, float]:
        a, b = frame.astype(np.float64), truth.astype(np.float64)
        products = (a, b, a * b, a * a, b * b)
        gaussian = [cv2.GaussianBlur(values, (11, 11), sigmaX=1.5, sigmaY=1.5)[5:-5, 5:-5] for values in products]
        uniform = [cv2.blur(values, (7, 7))[3:-3, 3:-3] for values in products]
        sample = 49 / 48  # from 1/N to 1/(N - 1)
        return {
            "ssim-wang2004": _similarity(*gaussian, level=255),
            "ssim-skimage": _similarity(*uniform, level=255, bias=sample),
            "ssim-atd12k": _similarity(*uniform, level=2 * 255, bias=sample),
        }


def _similarity(
    mean_a: NDArray[np.float64],
    mean_b: NDArray[np.float64],
    of_product: NDArray[np.float64],
    of_squared_a: NDArray[np.float64],
    of_squared_b: NDArray[np.float64],
    *,
    level: float,
    bias: float = 1.0,
) -> float:
    """Mean similarity from the windows' means of both pictures, of their product and of their squares."""
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = bias * (of_product - product)
    variances = bias * (of_squared_a + of_squared_b - squares)
    c1, c2 = (0.01 * level) ** 2, (0.03 * level) ** 2
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return float(similarity.mean())


class LineChamfer(PairedMetric):
    """Mean distance between the drawn lines of two frames, as a share of the diagonal (EISAI; lower is better).

    * ``line-chamfer``: the sum over one picture's line pixels of the distance to the other's nearest line, divided by
      *all* pixels and by the diagonal; averaged over both directions. 4e-5 is a good in-between. Where a picture has
      no line, the distance to it is the diagonal.
    * ``line-chamfer-per-line``: divided by the *line* pixels, so that drawings with much and with little ink compare.
    """

    names = ("line-chamfer", "line-chamfer-per-line")

    def frame(self, frame: Image, truth: Image) -> Mapping[str, Value]:
        lines, true_lines = (line_map(luma(image)) for image in (frame, truth))
        missed = line_distance(lines)[true_lines].sum(dtype=np.float64)
        invented = line_distance(true_lines)[lines].sum(dtype=np.float64)
        diagonal = np.hypot(*lines.shape)
        counts = true_lines.sum(), lines.sum()
        per_line: Value = Missing("there is no line in either picture")
        if max(counts):
            per_line = float((missed / max(counts[0], 1) + invented / max(counts[1], 1)) / 2 / diagonal)
        return {
            "line-chamfer": float((missed + invented) / 2 / lines.size / diagonal),
            "line-chamfer-per-line": per_line,
        }
