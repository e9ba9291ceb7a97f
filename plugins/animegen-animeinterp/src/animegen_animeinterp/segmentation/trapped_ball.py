"""Regions that leak through gaps in their lines, told apart by a ball that does not fit through (Zhang et al. 2009).

As described, a ball is put at the first place where it fits and fills what it can reach; the next one is put where it
still fits, and so on: one flood over the picture after another. Here many are put down at once, and the fills are the
same. What a ball reaches is a connected part of the places where it fits, its centres, and what it fills are these
grown by the ball. A fill takes centres away from parts that it comes near to, and from no others. So a part to which no
part with an earlier first pixel is near will not change before its turn, and all such parts can be filled together;
then the others lose what was taken from them, and are looked at again. The first pixels tell the order in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask

RADII = (3, 2, 1)
MOST_FILLS = 1000
"""With a ball of one size."""
MOST_FLOODS = 20000
NOWHERE = 2**24
"""More than any number of a part, and exact in float32."""


class Fills(NamedTuple):
    """What was filled.

    Attributes:
        labels: (H, W) int32: number of the fill from 1 on, in the order of filling; 0 where nothing was.
        made: How many there are.
    """

    labels: NDArray[np.int32]
    made: int


def fill(paper: Mask) -> tuple[Fills, tuple[int, ...]]:
    """Fills of the largest ball (only the greatest of these is kept), of smaller ones, and of what is left.

    Returns:
        The fills, and how many each radius and the floods made. 0 is line, and what was left when `MOST_FLOODS` were
        reached.
    """
    empty = paper.copy()
    labels = np.zeros(paper.shape, np.int32)
    counts: list[int] = []
    for radius in (*RADII, 0):
        found = with_ball(empty, radius) if radius else floods(empty)
        if radius == RADII[0]:
            found = _greatest(found)
        here = found.labels > 0
        labels[here] = found.labels[here] + sum(counts)
        empty &= ~here
        counts.append(found.made)
    return Fills(labels, sum(counts)), tuple(counts)


def with_ball(paper: Mask, radius: int) -> Fills:
    """Fills of a ball of one radius, at most `MOST_FILLS`; (H, W) bool is left as it is."""
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    centres: NDArray[np.uint8] = cv2.erode(paper.astype(np.uint8), ball).astype(np.uint8, copy=False)
    found = np.zeros(paper.shape, np.int32)
    seeds = np.zeros(0, np.int64)
    """First pixel of the centres of each fill, in the order of finding: that of number 1 in `found` comes first."""
    while (box := _box(centres, 2 * radius)) is not None:  # as far as a fill can be felt
        labels, firsts = _parts(np.ascontiguousarray(centres[box]))
        marks = np.arange(len(firsts), dtype=np.float32)
        marks[0] = NOWHERE
        marked = marks[labels]
        marks[labels[cv2.erode(cv2.erode(marked, ball), ball) < marked]] = NOWHERE
        ready = np.flatnonzero(marks < NOWHERE)
        grown = cv2.erode(marks[labels], ball)
        filled = grown < NOWHERE
        number = np.zeros(len(firsts), np.int32)
        number[ready] = np.arange(len(ready)) + len(seeds) + 1
        found[box][filled] = number[grown[filled].astype(np.int32)]
        y, x = np.divmod(firsts[ready], labels.shape[1])
        seeds = np.append(seeds, (y + box[0].start) * paper.shape[1] + x + box[1].start)
        centres[box][cv2.dilate(filled.view(np.uint8), ball) > 0] = 0
    number = np.zeros(len(seeds) + 1, np.int32)
    number[np.argsort(seeds) + 1] = np.arange(len(seeds)) + 1
    number[number > MOST_FILLS] = 0
    return Fills(number[found], min(len(seeds), MOST_FILLS))


def floods(paper: Mask) -> Fills:
    """The 4-connected parts, at most `MOST_FLOODS`."""
    labels, seeds = _parts(paper.astype(np.uint8))
    count = min(len(seeds) - 1, MOST_FLOODS)
    labels[labels > count] = 0
    return Fills(labels, count)


def _parts(picture: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """4-connected parts, numbered from 1 on by their first pixel in row order, and those pixels (-1 for number 0)."""
    count, found = cv2.connectedComponents(picture, connectivity=4, ltype=cv2.CV_32S)
    labels: NDArray[np.int32] = found.astype(np.int32, copy=False)
    seeds = np.full(count, -1, np.int64)
    begins = picture > 0
    begins[:, 1:] &= picture[:, :-1] == 0
    places = np.flatnonzero(begins)[::-1]
    seeds[labels.ravel()[places]] = places  # the last one that is written is the first of the picture
    if (np.diff(seeds) > 0).all():
        return labels, seeds
    order = np.argsort(seeds)
    rank = np.empty(count, np.int32)
    rank[order] = np.arange(count)
    return rank[labels], seeds[order]


def _box(picture: NDArray[np.uint8], margin: int) -> tuple[slice, slice] | None:
    """Where the picture is not 0, and `margin` pixels around; None where it is nowhere."""
    x, y, width, height = cv2.boundingRect(picture)
    if not width:
        return None
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


def _greatest(fills: Fills) -> Fills:
    """Those that no other is larger than."""
    if not fills.made:
        return fills
    areas = np.bincount(fills.labels.ravel(), minlength=fills.made + 1)
    areas[0] = 0
    number = np.cumsum(areas == areas.max(), dtype=np.int32)
    number[areas < areas.max()] = 0
    return Fills(number[fills.labels], int(number.max()))
