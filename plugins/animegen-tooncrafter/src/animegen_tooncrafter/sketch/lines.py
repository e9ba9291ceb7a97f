"""Lines of a coloured or toned frame, without a network: white on black, as the sketch encoder reads them.

A flow-guided difference of Gaussians: Winnemöller, Kyprianidis and Olsen, "XDoG: An eXtended difference-of-Gaussians
compendium including advanced image stylization", Computers & Graphics 36(6), 2012, with the edge tangent flow of Kang,
Lee and Chui, "Flow-Based Image Abstraction", TVCG 15(1), 2009. A soft threshold draws the line (their tanh); which
lines are drawn is decided with two thresholds as in Canny, TPAMI 8(6), 1986.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

    Plane = NDArray[np.float32]


@dataclass(frozen=True)
class LineStyle:
    """How lines are found. Lengths are pixels of the size that the sketch has, thresholds are shares of black to white.

    Attributes:
        sigma: Width of the narrow Gaussian; lines up to about three times as wide stay one line.
        ratio: Width of the wide Gaussian by the narrow one; 1.6 is nearest to a Laplacian (Marr and Hildreth 1980).
        flow: Width of the Gaussian that smooths the direction of lines.
        coherence: Width of the Gaussian along a line, which mends it and drowns grain.
        low, high: How much darker than around it a line is at least, and where it is clearest.
        full: How much darker it is where it is drawn white.
        length: Shorter lines are left out: grain, dots of screentone.
        clear: Where the clearest lines of a dim picture are weaker than this, thresholds come down with them ...
        most: ... by this factor at most.
    """

    sigma: float = 0.9
    ratio: float = 1.6
    flow: float = 2.0
    coherence: float = 2.0
    low: float = 0.010
    high: float = 0.030
    full: float = 0.035
    length: int = 10
    clear: float = 0.05
    most: float = 2.0


def luma(picture: Image) -> Plane:
    """Rec. 601 luma of (H, W, 3) uint8 RGB, in [0, 1]."""
    weights = np.array([[0.299, 0.587, 0.114]], np.float32) / 255
    return np.asarray(cv2.transform(picture.astype(np.float32), weights))


def lines_of_frame(picture: Image, style: LineStyle | None = None) -> Plane:
    """Lines of one (H, W, 3) uint8 RGB frame: (H, W) float32, white (1) on black (0)."""
    return lines_of_clip([picture], style)[0]


def lines_of_clip(
    frames: Sequence[Image], style: LineStyle | None = None, *, numbers: Sequence[int] | None = None
) -> list[Plane]:
    """Lines of frames of one size; a line that is clear in one frame is kept, if weaker, in its neighbours.

    Args:
        frames: (H, W, 3) uint8 RGB, in order.
        style: How lines are found.
        numbers: Where each is in its clip; frames that do not follow one another know nothing of one another.
    """
    style = style or LineStyle()
    found = [line_strength(luma(frame), style) for frame in frames]
    # A dim picture has lines too. All frames get one factor, else lines would come and go with what moves through.
    clearest = float(np.percentile(np.stack(found), 99.5))
    gain = np.float32(np.clip(style.clear / max(clearest, 1e-6), 1, style.most))
    found = [gain * strength for strength in found]
    kept = _hysteresis(found, style, numbers or range(len(frames)))
    return [_drawn(strength, keep, style) for strength, keep in zip(found, kept, strict=True)]


def line_strength(grey: Plane, style: LineStyle) -> Plane:
    """By how much each pixel of (H, W) luma is darker than around it, smoothed along lines."""
    narrow, wide = _blur(grey, style.sigma), _blur(grey, style.sigma * style.ratio)
    return _along(wide - narrow, _tangents(grey, style), style.coherence)


def _tangents(grey: Plane, style: LineStyle) -> tuple[Plane, Plane]:
    """Unit vectors (x, y) along lines, from the smoothed structure tensor."""
    grey = _blur(grey, 0.7 * style.sigma)
    gx = cv2.Scharr(grey, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Scharr(grey, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    xx, xy, yy = (_blur(product, style.flow) for product in (gx * gx, gx * gy, gy * gy))
    # The gradient's direction is that of the larger eigenvalue; a line runs at a right angle to it.
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    return (-np.sin(angle)).astype(np.float32), np.cos(angle).astype(np.float32)


def _along(plane: Plane, tangents: tuple[Plane, Plane], sigma: float) -> Plane:
    """Gaussian mean along streamlines of the tangents: line integral convolution."""
    height, width = plane.shape
    total, weight = plane.copy(), 1.0
    grid_x, grid_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for sign in (1.0, -1.0):
        x, y = grid_x.copy(), grid_y.copy()
        dx, dy = sign * tangents[0], sign * tangents[1]
        for step in range(1, int(2.5 * sigma) + 1):
            x += dx
            y += dy
            share = float(np.exp(-(step**2) / (2 * sigma**2)))
            total += share * _at(plane, x, y)
            weight += share
            tx, ty = _at(tangents[0], x, y, cv2.INTER_NEAREST), _at(tangents[1], x, y, cv2.INTER_NEAREST)
            # A tangent has no sense of direction: go on the way that was come.
            turn = np.where(tx * dx + ty * dy < 0, np.float32(-1), np.float32(1))
            dx, dy = turn * tx, turn * ty
    return np.asarray(total / np.float32(weight), np.float32)


def _hysteresis(found: Sequence[Plane], style: LineStyle, numbers: Sequence[int]) -> list[Mask]:
    """Lines over the low threshold that are somewhere over the high one, here or in a neighbouring frame."""
    labelled = [cv2.connectedComponentsWithStats((one > style.low).astype(np.uint8), connectivity=8) for one in found]
    seeds = [one > style.high for one in found]
    sure: list[Mask] = []
    for (count, labels, stats, _), seed in zip(labelled, seeds, strict=True):
        long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= style.length
        keep = np.zeros(count, bool)
        keep[np.unique(labels[seed])] = True
        keep[0] = False
        sure.append((keep & long)[labels])
    kept: list[Mask] = []
    for index, (count, labels, stats, _) in enumerate(labelled):
        long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= style.length
        keep = np.zeros(count, bool)
        for near in (index - 1, index, index + 1):
            if 0 <= near < len(found) and abs(numbers[near] - numbers[index]) <= 1:
                keep[np.unique(labels[sure[near]])] = True
        keep[0] = False
        kept.append((keep & long)[labels])
    return kept


def _drawn(strength: Plane, keep: Mask, style: LineStyle) -> Plane:
    ink = np.tanh(2 * np.clip(strength - style.low / 2, 0, None) / (style.full - style.low / 2))
    # One pixel beyond what was kept, so that a line ends softly and not in steps.
    around = cv2.dilate(keep.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(np.where(around, ink, 0), np.float32)


def _at(plane: Plane, x: Plane, y: Plane, how: int = cv2.INTER_LINEAR) -> Plane:
    return np.asarray(cv2.remap(plane, x, y, how, borderMode=cv2.BORDER_REPLICATE))


def _blur(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
