"""Line drawings, in pencil or ink, on paper or on black: white on black, as the sketch encoder reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen_tooncrafter.sketch.lines import luma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image
    from animegen_tooncrafter.sketch.lines import Plane

FAINT = 0.06
"""Least difference from the paper that is a mark, as a share of black to white: paper's grain is less."""
SPECK = 3
"""Marks of fewer pixels than this each way are dust, at the size of the sketch."""
THICK = 9
"""Ink wider than this is a fill, and only its outline is a line."""
_LOOK = 512  # longer side at which a picture is judged
_FILL = 0.25  # shadows on paper are less dark


def is_drawing(picture: Image) -> bool:
    """Whether (H, W, 3) uint8 RGB holds thin lines on an even ground, and nothing that is painted.

    A heuristic: most of it is ground, the ground is nearly white, grey or black, and what is not ground is thin.
    """
    scale = min(1.0, _LOOK / max(picture.shape[:2]))
    small = _reduced(picture, scale)
    if _on_black(small):
        small = 255 - small
    ground = np.median(small.reshape(-1, 3), axis=0)
    if float(ground.max() - ground.min()) > 64 or float(ground.mean()) < 128:  # cream and blueprint grey, not a sky
        return False
    marks = (ink(small) > FAINT * 2).astype(np.uint8)
    if not marks.any() or marks.mean() > 0.22:  # toned or hatched all over
        return False
    solid = cv2.morphologyEx(marks, cv2.MORPH_OPEN, _disc(THICK))
    return bool(solid.sum() < 0.15 * marks.sum())


def lines_of_drawing(picture: Image, size: tuple[int, int] | None = None) -> Plane:
    """Lines of (H, W, 3) uint8 RGB at `size` (width, height), or its own: (H, W) float32, white (1) on black (0).

    Uneven paper is evened out, faint pencil is drawn white, and thin lines of a large scan stay lines when it becomes
    small.
    """
    width, height = size or (picture.shape[1], picture.shape[0])
    if _on_black(picture):
        picture = 255 - picture
    marks = ink(picture)
    smaller = max(picture.shape[1] / width, picture.shape[0] / height)
    if smaller > 1.5:  # the mean over a block would leave a thin line grey
        marks = cv2.dilate(marks, _disc(round(smaller - 1) | 1))
    how = cv2.INTER_AREA if smaller > 1 else cv2.INTER_CUBIC
    marks = np.clip(cv2.resize(marks, (width, height), interpolation=how), 0, 1)
    clear = marks[marks > 2 * FAINT]
    full = max(3 * FAINT, float(np.percentile(clear, 60))) if clear.size else 1.0
    drawn = np.clip((marks - FAINT) / (full - FAINT), 0, 1).astype(np.float32)
    return np.asarray(_outlined(_without_specks(drawn)), np.float32)


def ink(picture: Image) -> Plane:
    """How far (H, W, 3) is from the paper around it in the channel that shows it best, (H, W) in [0, 1].

    Blue and red pencil are as dark in one channel as black is.
    """
    levels = picture.astype(np.float32) / np.float32(255)
    return np.asarray(np.clip((_paper(levels) - levels).max(axis=2), 0, 1))


def _paper(levels: Plane) -> Plane:
    """The paper under the lines, (H, W, 3): the brightest near by, of a small copy, without grain.

    Where that is far darker than the paper elsewhere lets expect, there is a fill.
    """
    height, width = levels.shape[:2]
    scale = min(1.0, 128 / max(height, width))
    small = cv2.resize(
        levels, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    bright = cv2.morphologyEx(small, cv2.MORPH_CLOSE, _disc(13), borderType=cv2.BORDER_REPLICATE)
    expected = _slope(bright)
    bright = np.where((bright < expected - _FILL).any(axis=2, keepdims=True), expected, bright)
    smooth = cv2.GaussianBlur(bright, (0, 0), 5, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))


def _slope(bright: Plane) -> Plane:
    """What light falling on even paper gives: the plane through the brighter half of (h, w, 3), by least squares."""
    height, width = bright.shape[:2]
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].reshape(2, -1)
    terms = np.stack([np.ones_like(xs), xs, ys], axis=1)
    values = bright.reshape(-1, 3)
    kept = np.ones(len(values), bool)
    for _ in range(4):
        fit = np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
        above = (values - terms @ fit).mean(axis=1)
        kept = above >= np.median(above[kept]) - _FILL / 3
    return np.asarray(np.clip(terms @ fit, 0, 1).reshape(bright.shape), np.float32)


def _on_black(picture: Image) -> bool:
    return float(np.median(luma(picture))) < 0.2


def _without_specks(drawn: Plane) -> Plane:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((drawn > 0.05).astype(np.uint8), connectivity=8)
    long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= SPECK
    strongest = np.zeros(count, np.float32)
    np.maximum.at(strongest, labels, drawn)
    keep = long & (strongest > 0.5)
    keep[0] = False
    return np.asarray(np.where(keep[labels], drawn, 0), np.float32)


def _outlined(drawn: Plane) -> Plane:
    solid = cv2.morphologyEx((drawn > 0.5).astype(np.uint8), cv2.MORPH_OPEN, _disc(THICK))
    inside = cv2.erode(solid, _disc(5), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(np.where(inside > 0, 0, drawn), np.float32)


def _reduced(picture: Image, scale: float) -> Image:
    if scale == 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _disc(size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
