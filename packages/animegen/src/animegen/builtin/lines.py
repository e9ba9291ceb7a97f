"""Drawn lines: where they are, and how far every pixel is from one.

Source: EISAI (Chen & Zwicker, "Improving the Perceptual Quality of 2D Animation Interpolation", ECCV 2022),
lines by a difference of Gaussians, distances by an exact Euclidean distance transform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask

THRESHOLD = 0.005
"""Least difference of the two blurs on a line: twice it is EISAI's epsilon of 0.01."""


def luma(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rec. 601 luma in [0, 1], (H, W), of an (H, W, 3) uint8 RGB image."""
    weights = np.array([[0.299, 0.587, 0.114]], np.float32) / 255
    return np.asarray(cv2.transform(image.astype(np.float32), weights))


def line_map(grey: NDArray[np.floating], sigma: float = 1.0) -> Mask:
    """Pixels on a dark line, (H, W) bool, of a luma image in [0, 1].

    Args:
        grey: (H, W) luma.
        sigma: Width of the narrow Gaussian, px; the wide one is 1.6 times it. Lines up to about twice as
            wide are found.
    """
    narrow, wide = (
        cv2.GaussianBlur(grey, (size, size), sigmaX=width, sigmaY=width, borderType=cv2.BORDER_REPLICATE)
        for size, width in ((max(2 * int(4 * sigma) + 1, 3), sigma), (max(2 * int(6.4 * sigma) + 1, 3), 1.6 * sigma))
    )
    return np.asarray(wide - narrow > THRESHOLD)


def line_distance(lines: Mask) -> NDArray[np.float32]:
    """Euclidean distance of every pixel to the nearest line, px, (H, W); the diagonal where there is no line."""
    if not lines.any():
        return np.full(lines.shape, np.hypot(*lines.shape), np.float32)
    found = cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Its last bit depends on where in memory the picture lies. A squared distance between pixels is a whole number.
    exact = found.astype(np.float64)
    exact *= exact
    np.rint(exact, out=exact)
    return np.asarray(np.sqrt(exact, out=exact), np.float32)
