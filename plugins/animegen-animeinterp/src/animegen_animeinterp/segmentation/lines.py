"""Where lines are: edges of a smoothed picture, kept where they hang on to a strong one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

STRONG = 20
"""Of 255 for the strongest edge of a picture."""
GAIN = 20
PAPER = 220
"""A line image is paper where it is brighter."""


@dataclass(frozen=True)
class Style:
    """How a kind of drawing is smoothed before its edges are sought.

    Attributes:
        diameter, colour, space: Of the bilateral filter: pixels, levels, pixels.
        weak: Edges above this are lines where they hang on to one above `STRONG`.
    """

    diameter: int
    colour: int
    space: int
    weak: int


STYLES = {"japan": Style(10, 10, 10, 2), "disney": Style(30, 40, 30, 1)}


def line_image(image: Image, style: Style) -> NDArray[np.uint8]:
    """The lines of a picture, dark on 255.

    Args:
        image: (H, W, 3) uint8, in any order of channels.

    Returns:
        (H, W) uint8; all 255 where a picture has no edge at all.
    """
    smooth = cv2.bilateralFilter(image, style.diameter, style.colour, style.space)
    edges = cv2.Laplacian(smooth, cv2.CV_32F, ksize=5)
    greatest = edges.max()
    if greatest <= 0:
        return np.full(image.shape[:2], 255, np.uint8)
    channels = [channel * (255 / greatest) for channel in cv2.split(edges)]
    kept = _strong_parts([edges > style.weak for edges in channels], [edges > STRONG for edges in channels])
    strongest = np.maximum.reduce([edges * here for edges, here in zip(channels, kept, strict=True)])
    lines: NDArray[np.uint8] = np.clip(255 - strongest * GAIN, 0, 255).astype(np.uint8)
    return lines


def is_paper(lines: NDArray[np.uint8]) -> Mask:
    """(H, W) bool, True where regions are sought."""
    return lines > PAPER


def _strong_parts(weak: list[Mask], strong: list[Mask]) -> list[Mask]:
    """The parts of `weak`, connected by faces (also from channel to channel), that hold some `strong`; by channel.

    OpenCV labels the parts of each channel; which of two channels' parts touch is a list of pairs, along which being
    strong spreads.
    """
    found = [cv2.connectedComponents(channel.view(np.uint8), connectivity=4, ltype=cv2.CV_32S) for channel in weak]
    starts = np.cumsum([0, *(count for count, _ in found)])
    parts = [labels + start for (_, labels), start in zip(found, starts, strict=False)]
    holds = np.zeros(int(starts[-1]), bool)
    for labels, here in zip(parts, strong, strict=True):
        holds[labels[here]] = True
    touching = [_pairs(parts[at], parts[at + 1], weak[at] & weak[at + 1]) for at in range(len(parts) - 1)]
    one, other = np.concatenate(touching, 1) if touching else np.zeros((2, 0), np.int64)
    before = -1
    while before != (before := int(holds.sum())):
        holds[one[holds[other]]] = True
        holds[other[holds[one]]] = True
    holds[starts[:-1]] = False  # what is no part of anything
    return [holds[labels] for labels in parts]


def _pairs(one: NDArray[np.int32], other: NDArray[np.int32], where: Mask) -> NDArray[np.int64]:
    """(2, N): which parts of `one` and `other` share a pixel of `where`."""
    size = int(other.max(initial=0)) + 1
    keys = np.unique(one[where].astype(np.int64) * size + other[where])
    return np.stack(np.divmod(keys, size))
