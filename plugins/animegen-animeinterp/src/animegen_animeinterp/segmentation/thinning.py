"""Lines given to the regions beside them, and regions put in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROUNDS = 100
_AROUND = ((-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1))
"""(across, down) to the neighbours of a pixel, in the order in which they are asked."""


def thin(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """`labels` with lines (0) filled up from both sides, a pixel a round.

    A line's pixel beside a region takes the first name it finds around it. As published, the first column and the first
    row are never asked by a neighbour to the right of or below them. Only pixels beside what changed in the last round
    are looked at, so a round costs as much as its front is long.
    """
    height, width = labels.shape
    wide = width + 2
    padded = np.zeros((height + 2, wide), np.int32)
    padded[1:-1, 1:-1] = labels
    flat = padded.ravel()
    line = np.zeros(padded.shape, bool)
    line[1:-1, 1:-1] = labels == 0
    waiting = line.ravel()
    beside = (padded[1:-1, :-2] > 0) | (padded[1:-1, 2:] > 0) | (padded[:-2, 1:-1] > 0) | (padded[2:, 1:-1] > 0)
    front = np.flatnonzero(line[1:-1, 1:-1] & beside)
    front = (front // width + 1) * wide + front % width + 1
    queued = np.zeros(flat.shape, bool)
    queued[front] = True
    for _ in range(MOST_ROUNDS):
        names = _first_names(flat, front, wide)
        found = names > 0
        if not found.any():
            break
        changed = front[found]
        flat[changed] = names[found]
        waiting[changed] = False
        near = np.concatenate([changed + step for step in (-1, 1, -wide, wide)])
        near = near[waiting[near] & ~queued[near]]
        queued[near] = True
        front = np.concatenate((front[~found], np.unique(near)))
    return padded[1:-1, 1:-1].copy()


def _first_names(flat: NDArray[np.int32], places: NDArray[np.int64], wide: int) -> NDArray[np.int32]:
    """For each of `places` in a picture with a rim of a pixel, the first name around it; 0 where there is none."""
    y, x = np.divmod(places, wide)
    high, left = y <= 2, x <= 2
    names = np.zeros(len(places), np.int32)
    for across, down in _AROUND:
        here = flat[places + down * wide + across]
        if across < 0:
            here[left] = 0
        if down < 0:
            here[high] = 0
        np.copyto(names, here, where=names == 0)
    return names


def in_order(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The same regions, called 0, 1, ... from the smallest on."""
    areas = np.bincount(labels.ravel())
    present = np.flatnonzero(areas)
    rank = np.zeros(len(areas), np.int32)
    rank[present[np.argsort(areas[present], kind="stable")]] = np.arange(len(present))
    return rank[labels]
