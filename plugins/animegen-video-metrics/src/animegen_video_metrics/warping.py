"""Warping error of Lai et al. 2018 ("Learning Blind Video Temporal Consistency"), given the flow.

Occlusion is the rule of Ruder, Dosovitskiy and Brox 2016. Flow is (H, W, 2) float32, (dx, dy) in pixels, and lives in
the coordinates of the earlier frame, as the occlusion does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from animegen_torch.warp import warp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask


def sample_along(values: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """`values`, (H, W, C), read at x + flow(x): bilinear, coordinates held inside the picture."""
    planes, way = (torch.from_numpy(np.ascontiguousarray(a)).permute(2, 0, 1)[None] for a in (values, flow))
    return np.asarray(warp(planes, way)[0].permute(1, 2, 0).numpy())


def occluded(forward: NDArray[np.float32], backward: NDArray[np.float32]) -> Mask:
    """Where the flow cannot be trusted, (H, W) bool, in the coordinates of the frame that `forward` starts from.

    There and back does not lead home, or the flow has an edge. Differences are to the right and lower neighbour.
    """
    back = sample_along(backward, forward)
    length = _squared(forward)
    lost = _squared(back + forward) > 0.01 * (_squared(back) + length) + 0.5
    edge = np.zeros_like(length)
    edge[:, :-1] += _squared(np.diff(forward, axis=1))
    edge[:-1] += _squared(np.diff(forward, axis=0))
    return np.asarray(lost | (edge > 0.01 * length + 0.002))


def squared_error(
    frame: Image, following: Image, flow: NDArray[np.float32], *, levelled: bool = False
) -> NDArray[np.float32]:
    """Mean over channels of the squared difference between `frame` and the next along `flow`, in [0, 1], (H, W).

    Args:
        levelled: Take each frame's mean colour off first: what is left is not a change of tone.
    """
    here, there = (_scaled(picture, levelled) for picture in (frame, following))
    difference = here - sample_along(there, flow)
    return np.asarray((difference * difference).mean(2))


def mean_where(errors: NDArray[np.float32], where: Mask) -> float | None:
    """Mean of `errors` over the pixels of `where`; None where there are none."""
    count = int(where.sum())
    return float(errors[where].sum(dtype=np.float64) / count) if count else None


def resize_flow(flow: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A flow for pictures of another size: as many vectors as pixels, and each as long as it is there."""
    ratio = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    return np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * ratio)


def _scaled(picture: Image, levelled: bool) -> NDArray[np.float32]:
    scaled = np.divide(picture, 255, dtype=np.float32)
    if levelled:
        scaled -= scaled.mean((0, 1), dtype=np.float64).astype(np.float32)
    return scaled


def _squared(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((vectors * vectors).sum(2))
