"""From a picture to what VGG19 is shown of it, for drawings in black and white."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

RIM = 0.02
"""Share of each side that is cut off: scans are dirty and panels framed there."""
PAPER = 1.0


class Plane(NamedTuple):
    """A picture as it is compared.

    Attributes:
        luma: (h, w) float32 in [0, 1].
        weights: (h, w) float32 in [0, 1], how much every pixel counts; None where all count alike.
    """

    luma: NDArray[np.float32]
    weights: NDArray[np.float32] | None


def plane(picture: Image, ignored: Mask | None, *, shorter: int, longest: int, least: int = 16) -> Plane | None:
    """One luma plane (Rec. 601): colours that a model invents are no style.

    What is ignored becomes paper before anything else, so that whatever stands there reaches no feature. Sizes are
    brought down by area, never up: screentone must not alias.

    Args:
        picture: (H, W, 3) uint8 RGB.
        ignored: (H, W) bool, or None.
        shorter, longest: The sides' limits, px.
        least: No side is brought below this many pixels, even if the other then is longer than `longest`.

    Returns:
        None where everything is ignored.
    """
    height, width = picture.shape[:2]
    y, x = (round(RIM * side) for side in (height, width))
    picture = np.ascontiguousarray(picture[y : height - y, x : width - x])
    luma = cv2.transform(picture.astype(np.float32), np.array([[0.299, 0.587, 0.114]], np.float32) / 255)
    weights = None
    if ignored is not None and ignored.any():
        counts = ~ignored[y : height - y, x : width - x]
        if not counts.any():
            return None
        luma[~counts] = PAPER
        weights = counts.astype(np.float32)
    scale = min(shorter / min(luma.shape), longest / max(luma.shape), 1.0)
    scale = max(scale, min(1.0, least / min(luma.shape)))  # a strip keeps what the network needs
    if scale < 1:
        size = (max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale)))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        if weights is not None:
            weights = np.asarray(cv2.resize(weights, size, interpolation=cv2.INTER_AREA), np.float32)
    return Plane(np.asarray(luma, np.float32), weights)


def moments(shown: Plane) -> tuple[float, float]:
    """Mean and standard deviation of the luma of what counts."""
    mean = float(np.average(shown.luma, weights=shown.weights))
    return mean, float(np.sqrt(np.average((shown.luma - mean) ** 2, weights=shown.weights)))
