"""Where to look in a large picture: the parts around its holes.

LaMa was trained on pictures of 256 pixels and loses quality and memory on whole pages; around a balloon it
needs no more than its neighbourhood. The figures (from 800 pixels on, 128 around each hole, moved inwards at
the rim) are those users know from IOPaint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.media import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Mask


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of a picture that is filled in one go.

    Attributes:
        box: The part, in the picture's pixels.
        hole: Which of its pixels are taken from the result, the size of `box`. Other holes that reach into
            the part are hidden from the network too, but filled from a crop of their own.
    """

    box: Box
    hole: Mask


def window(box: Box, margin: int, width: int, height: int) -> Box:
    """`box` with `margin` on all sides, moved inwards where it would leave the picture, cut where it must."""
    x0, x1 = _span(box.x0 - margin, box.x1 + margin, width)
    y0, y1 = _span(box.y0 - margin, box.y1 + margin, height)
    return Box(x0, y0, x1, y1)


def _span(start: int, end: int, limit: int) -> tuple[int, int]:
    length = min(end - start, limit)
    start = min(max(start, 0), limit - length)
    return start, start + length


def crops(hole: Mask, margin: int, join_up_to: int) -> list[Crop]:
    """One crop for each connected hole (8 neighbours), or for several that fit into one.

    Args:
        hole: (H, W) bool.
        margin: Pixels to leave around each hole.
        join_up_to: Holes whose crops overlap share one as long as its longer side is at most this: the
            strokes of a line of lettering are hundreds of holes.
    """
    height, width = hole.shape
    _, found, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    labels = np.asarray(found, dtype=np.int32)
    groups: list[tuple[Box, list[int]]] = []
    for label, (x, y, w, h, _area) in enumerate(stats.tolist()):
        if label:  # 0 is the picture itself
            _join(groups, Box(x, y, x + w, y + h), label, margin, join_up_to)
    return [_cut(labels, window(box, margin, width, height), members) for box, members in groups]


def _join(groups: list[tuple[Box, list[int]]], box: Box, label: int, margin: int, join_up_to: int) -> None:
    for index, (other, members) in enumerate(groups):
        near = (
            box.x0 - margin < other.x1 + margin
            and other.x0 - margin < box.x1 + margin
            and box.y0 - margin < other.y1 + margin
            and other.y0 - margin < box.y1 + margin
        )
        both = Box(min(box.x0, other.x0), min(box.y0, other.y0), max(box.x1, other.x1), max(box.y1, other.y1))
        if near and max(both.width, both.height) + 2 * margin <= join_up_to:
            groups[index] = (both, [*members, label])
            return
    groups.append((box, [label]))


def _cut(labels: NDArray[np.int32], box: Box, members: list[int]) -> Crop:
    part = labels[box.y0 : box.y1, box.x0 : box.x1]
    return Crop(box, np.isin(part, members))
