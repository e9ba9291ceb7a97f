"""Regions of a drawing, measured all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of one picture.

    Attributes:
        labels: (H, W) int32, 0 ... R - 1, every number there.
        areas: (R,) pixels of each.
        x, y: (R,) float64, the centroids.
        boxes: (R, 4) int64: first row, last row, first column, last column.
    """

    labels: NDArray[np.int32]
    areas: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    boxes: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[np.int32]) -> Regions:
        """Measure regions that have numbers without gaps, as `segmentation.segment` gives them."""
        width = labels.shape[1]
        flat = labels.ravel()
        areas = np.bincount(flat)
        rows, columns = np.divmod(np.arange(flat.size), width)
        x, y = (np.bincount(flat, places) / areas for places in (columns, rows))
        return cls(labels, areas, x, y, boxes_of(labels, len(areas)))

    @property
    def diagonal(self) -> float:
        """Of the picture, in pixels."""
        return float(np.hypot(*self.labels.shape))

    def mask(self, region: int) -> Mask:
        """The region within its box."""
        top, bottom, left, right = self.boxes[region]
        inside: Mask = self.labels[top : bottom + 1, left : right + 1] == region
        return inside


def boxes_of(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """(count, 4): first row, last row, first column, last column of each number; undefined for one that is nowhere."""
    width = labels.shape[1]
    begins = np.ones(labels.shape, bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    starts = np.flatnonzero(begins)
    names = labels.ravel()[starts]
    rows, left = np.divmod(starts, width)
    right = (np.append(starts[1:], labels.size) - 1) % width
    boxes = np.zeros((count, 4), np.int64)
    # Of what is written to one place several times, the last stays: so the order of writing finds the extremes.
    for side, values in enumerate((-rows, rows, -left, right)):
        order = np.argsort(values, kind="stable")
        boxes[names[order], side] = np.abs(values[order])
    return boxes
