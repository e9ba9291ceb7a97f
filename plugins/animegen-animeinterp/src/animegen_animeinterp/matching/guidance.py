"""A first guess of motion, region by region: how far a region moved, and how it changed its shape."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from animegen._cv2 import cv2
from animegen_animeinterp.matching.similarity import AREA_RATIO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask
    from animegen_animeinterp.matching.similarity import Matching
    from animegen_animeinterp.regions import Regions

FARTHEST = 250
"""Pixels between centroids."""
SMALLEST, LARGEST = 50, 0.12
"""Pixels; share of the picture."""
DARK = 20
"""A region darker than this is lifted, for the flow to see something against the black around it."""
LEAST_SIDE, RIM = 16, 10
LANDED = 0.05
COVERED = 0.8
"""Share of where a region lands that must be its partner."""


def guide(
    first: Image, second: Image, one: Regions, other: Regions, matching: Matching, *, threads: int = 1
) -> NDArray[np.float32]:
    """The first guess from one drawing to the other.

    Args:
        first, second: (H, W, 3) uint8 RGB, as segmented.
        matching: Partners of the regions of `first`.
        threads: Regions that are worked on at once; changes nothing in the result.

    Returns:
        (2, H, W) float32, (dx, dy) in pixels; 0 where a region has no partner that can be trusted.
    """
    pictures = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False) for image in (first, second)]
    trusted = _trusted(one, other, matching)

    def moved(region: int) -> NDArray[np.float32] | None:
        partner = int(matching.partner[region])
        return _motion(_Cut.of(pictures[0], one, region), _Cut.of(pictures[1], other, partner))

    flow = np.zeros((2, *one.labels.shape), np.float32)
    # The longest first, so that none is left over in the end.
    order = sorted(trusted.tolist(), key=lambda region: -one.areas[region])
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for region, motion in zip(order, pool.map(moved, order), strict=True):
            if motion is not None:
                top, bottom, left, right = one.boxes[region]
                flow[:, top : bottom + 1, left : right + 1][:, one.mask(region)] = motion
    return flow


def _trusted(one: Regions, other: Regions, matching: Matching) -> NDArray[np.int64]:
    """Regions whose motion is looked for."""
    partner = matching.partner
    away = np.hypot(one.x - other.x[partner], one.y - other.y[partner])
    ratio = np.maximum(one.areas, other.areas[partner]) / np.minimum(one.areas, other.areas[partner])
    size = (one.areas > SMALLEST) & (one.areas < LARGEST * one.labels.size)
    return np.flatnonzero((matching.rank <= 0) & (away <= FARTHEST) & size & (ratio < AREA_RATIO))


class _Cut(NamedTuple):
    """A region by itself, grey on black, within its box."""

    grey: NDArray[np.uint8]
    mask: Mask
    centre: tuple[float, float]

    @classmethod
    def of(cls, picture: NDArray[np.uint8], regions: Regions, region: int) -> _Cut:
        top, bottom, left, right = regions.boxes[region].tolist()
        mask = regions.mask(region)
        grey = np.where(mask, picture[top : bottom + 1, left : right + 1], 0).astype(np.uint8)
        if grey[mask].mean() < DARK:
            grey[mask] = (0.8 * grey[mask] + 40).astype(np.uint8)
        return cls(grey, mask, ((left + right) / 2, (top + bottom) / 2))

    def padded(self, height: int, width: int) -> tuple[NDArray[np.uint8], Mask]:
        """Grey and mask in the middle of black."""
        down, across = height - self.mask.shape[0], width - self.mask.shape[1]
        top, left = down // 2, across // 2
        around = ((top, down - top), (left, across - left))
        return np.pad(self.grey, around), np.pad(self.mask, around)


_own = threading.local()


def _dis() -> Any:
    """Dense inverse search as the authors set it; one for each thread, for it keeps what it works on."""
    if not hasattr(_own, "dis"):
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        dis.setFinestScale(0)
        dis.setGradientDescentIterations(50)
        dis.setVariationalRefinementIterations(25)
        _own.dis = dis
    return _own.dis


def _motion(one: _Cut, other: _Cut) -> NDArray[np.float32] | None:
    """(2, pixels of the region), or None where what moved does not land on its partner."""
    height, width = (max(a, b, LEAST_SIDE) + RIM for a, b in zip(one.mask.shape, other.mask.shape, strict=True))
    grey, mask = one.padded(height, width)
    target, where = other.padded(height, width)
    flow: NDArray[np.float32] = _dis().calc(grey, target, None)
    landed = _landed(mask, flow)
    if np.count_nonzero(landed & where) <= COVERED * np.count_nonzero(landed):
        return None
    shift = np.array(other.centre, np.float32) - np.array(one.centre, np.float32)
    moved: NDArray[np.float32] = (flow[mask] + shift).T
    return moved


def _landed(mask: Mask, flow: NDArray[np.float32]) -> Mask:
    """Where more than a trace of `mask` comes to lie when everything moves along `flow` (average splatting)."""
    height, width = mask.shape
    x = np.arange(width, dtype=np.float32) + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    total, inside = np.zeros(height * width), np.zeros(height * width)
    for across in (0, 1):
        for down in (0, 1):
            column, row = left + across, top + down
            weight = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
            there = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = (row * width + column)[there]
            total += np.bincount(place, weight[there], height * width)
            inside += np.bincount(place, (weight * mask)[there], height * width)
    landed: Mask = (inside / (total + 1e-7) >= LANDED).reshape(height, width)
    return landed
