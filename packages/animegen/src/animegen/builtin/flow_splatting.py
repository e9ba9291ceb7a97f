"""Moving a field along a flow (forward splatting), closing its holes, and looking one up (warping).

Fields are (h, w, C) float32; flows are (h, w, 2) float32 in pixels of the same grid, x first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    Field: TypeAlias = NDArray[Any]
    """(h, w) or (h, w, C) float32."""


def pixel_grid(height: int, width: int) -> Field:
    """Coordinates (x, y) of every pixel, (height, width, 2)."""
    grid = np.empty((height, width, 2), np.float32)
    grid[..., 0] = np.arange(width, dtype=np.float32)
    grid[..., 1] = np.arange(height, dtype=np.float32)[:, None]
    return grid


def sample(field: Field, at: Field) -> Field:
    """`field` looked up bilinearly at coordinates `at` (h, w, 2); the border goes on outside."""
    return np.asarray(cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def resize(field: Field, height: int, width: int) -> Field:
    """`field` at another size: averaged when smaller, bilinear when larger."""
    shrinks = height * width < field.shape[0] * field.shape[1]
    resized = cv2.resize(field, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized)


def resize_flow(flow: Field, height: int, width: int) -> Field:
    """`flow` at another size, its vectors rescaled to pixels of that size."""
    scale = (width / flow.shape[1], height / flow.shape[0])
    return resize(flow, height, width) * np.array(scale, np.float32)


def splat(values: Field, at: Field) -> Field:
    """Sum of values dropped at coordinates `at`, each spread a little around the pixel it falls on.

    What is splatted here are flows, which vary slowly: sharing each between the four pixels around it gives
    the same pictures at four times the cost.

    Args:
        values: (h, w, C); to average, multiply by a weight and let the weight be one of the channels.
        at: (h, w, 2) where each pixel of `values` goes; what leaves the grid is lost.

    Returns:
        (h, w, C) sums.
    """
    height, width, channels = values.shape
    x, y = np.rint(at[..., 0]), np.rint(at[..., 1])
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = np.where(inside, y * width + x, height * width).astype(np.intp).ravel()
    sums = np.empty((height, width, channels), np.float32)
    for channel in range(channels):
        dropped = np.bincount(index, values[..., channel].ravel(), height * width + 1)
        sums[..., channel] = dropped[:-1].reshape(height, width)
    spread = cv2.GaussianBlur(sums, (3, 3), 0.7, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(spread).reshape(sums.shape)


def fill_holes(weighted: Field, weight: Field) -> Field:
    """Values wherever the weight is 1, smoothly continued from there into places of less weight (push-pull).

    Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.

    Args:
        weighted: (h, w, C) values times their weight.
        weight: (h, w) in [0, 1]; 0 in a hole.

    Returns:
        (h, w, C) values; 0 where there is no weight in the whole picture.
    """
    height, width = weight.shape
    if height * width == 1 or weight.min() >= 1:
        return weighted / np.maximum(weight, 1e-6)[..., None]
    smaller = ((width + 1) // 2, (height + 1) // 2)
    mean = cv2.resize(weighted, smaller, interpolation=cv2.INTER_AREA).reshape(*smaller[::-1], -1)
    mean_weight = cv2.resize(weight, smaller, interpolation=cv2.INTER_AREA)
    # A coarse pixel is known as soon as a quarter of it is: thin shapes still speak for their surroundings.
    boosted = np.minimum(mean_weight * 4, 1)
    coarse = fill_holes(mean * (boosted / np.maximum(mean_weight, 1e-9))[..., None], boosted)
    around = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
    return np.asarray(weighted + around * (1 - weight)[..., None])
