"""Motion between two drawings: dense flow both ways, and how far each pixel of it can be trusted.

Flow is found by DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016), coarse to
fine, on luma mixed with a soft distance to the drawn lines: grey alone is blind inside flat colour, where the
distance still says which line is near and on which side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen.builtin.flow_splatting import fill_holes, pixel_grid, resize, resize_flow, sample
from animegen.builtin.lines import line_distance, line_map, luma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.builtin.flow_splatting import Field
    from animegen.media import Image

WORKING_PIXELS = 640 * 480
"""Larger pictures are shrunk to this many pixels to find their motion."""
LEAST_SIDE = 64
"""Smaller ones are continued to this many pixels a side: the search needs three levels of 8-px patches."""
GRID_STEP = 2
"""Working pixels to one pixel of the grid that motion is kept on."""
SAME_DRAWING = 15.0
"""Grey levels by which surroundings that were found again differ (there, confidence has fallen to 37 %)."""
SAME_COLOUR = 24.0
"""The same for a single pixel."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What moved where between two images, on a grid smaller than they are.

    Attributes:
        forward: (h, w, 2) flow first → last, pixels of the grid.
        backward: (h, w, 2) flow last → first.
        trust_first: (h, w) in [0, 1], how far `forward` was believed at each pixel of the first image; where
            it was not, it was continued from where it was.
        trust_last: The same for `backward`.
        certain_first: (h, w) in [0, 1], whether a pixel of the first image is surely seen in the last too.
        certain_last: The same for the last image.
        found: Share in [0, 1] of what differs between the images that the flow explains.
    """

    forward: Field
    backward: Field
    trust_first: Field
    trust_last: Field
    certain_first: Field
    certain_last: Field
    found: float


def estimate(first: Image, last: Image, line_share: float) -> Motion:
    """Motion between two images of one size.

    Args:
        first, last: (H, W, 3) uint8 RGB.
        line_share: Part of the line distance in the picture that motion is sought on; the rest is luma.
    """
    small = [_working_size(image) for image in (first, last)]
    height, width = small[0].shape[:2]
    features = [_feature(image, line_share) for image in small]
    pad = (0, max(LEAST_SIDE - height, 0), 0, max(LEAST_SIDE - width, 0))
    a, b = (cv2.copyMakeBorder(feature, *pad, cv2.BORDER_REPLICATE) for feature in features)
    grid_height, grid_width = -(-height // GRID_STEP), -(-width // GRID_STEP)
    x, y = _pan(a, b)
    found = _search(a, b, (x, y)), _search(b, a, (-x, -y))
    flows = [resize_flow(flow[:height, :width], grid_height, grid_width) for flow in found]
    images = [
        cv2.GaussianBlur(resize(image, grid_height, grid_width), (0, 0), 0.7).astype(np.float32) for image in small
    ]
    forward = _unless_still(flows[0], *images)
    backward = _unless_still(flows[1], *images[::-1])
    certain_first, trust_first, explained_first = _confidence(forward, backward, *images)
    certain_last, trust_last, explained_last = _confidence(backward, forward, *images[::-1])
    changed = np.clip(_difference(*images) / 16 - 0.25, 0, 1)
    amount = float(changed.sum())
    explained = float((changed * (explained_first + explained_last)).sum()) / 2
    return Motion(
        forward=_only_trusted(forward, trust_first),
        backward=_only_trusted(backward, trust_last),
        trust_first=trust_first,
        trust_last=trust_last,
        certain_first=certain_first,
        certain_last=certain_last,
        found=explained / amount if amount > 0.5 else 1.0,
    )


def _working_size(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = (WORKING_PIXELS / (height * width)) ** 0.5
    if scale >= 1:
        return image
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _feature(image: Image, line_share: float) -> NDArray[np.uint8]:
    """Luma and line distance mixed, (h, w) uint8."""
    grey = luma(image)
    if line_share:
        distance = line_distance(line_map(grey, max(image.shape[0] / 540, 0.7)))
        soft = 1 - cv2.exp(distance * (-36 / max(grey.shape)))
        grey = cv2.addWeighted(grey, 1 - line_share, soft, line_share, 0)
    return np.asarray(cv2.convertScaleAbs(grey, alpha=255))


def _search(a: NDArray[np.uint8], b: NDArray[np.uint8], start: tuple[float, float]) -> Field:
    """Dense flow a → b, (h, w, 2) px, sought around the displacement `start`."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1)
    initial = np.full((*a.shape, 2), start, np.float32) if start != (0.0, 0.0) else None
    return np.asarray(dis.calc(a, b, initial))


def _pan(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[float, float]:
    """Displacement (x, y) px of the picture as a whole, or (0, 0) unless it explains much of the difference.

    Phase correlation needs no coarse level: it also finds a far pan over fine texture, of which the small
    pictures at the top of the pyramid keep nothing.
    """
    scale = 2
    size = a.shape[1] // scale, a.shape[0] // scale
    small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) for image in (a, b)]
    # Copies: OpenCV multiplies the window into its inputs, in place.
    (x, y), _ = cv2.phaseCorrelate(*(image.copy() for image in small), cv2.createHanningWindow(size, cv2.CV_32F))
    dx, dy = round(x), round(y)
    width, height = size
    if abs(dx) > width // 2 or abs(dy) > height // 2 or (dx, dy) == (0, 0):
        return 0.0, 0.0
    common_a = small[0][max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
    common_b = small[1][max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    panned, still = float(np.abs(common_a - common_b).mean()), float(np.abs(small[0] - small[1]).mean())
    return (x * scale, y * scale) if panned < 0.7 * still else (0.0, 0.0)


def _unless_still(flow: Field, image: Field, other: Field) -> Field:
    """The flow, taken back to zero where it explains the other image no better than standing still does.

    Noise, flicker and redrawn parts otherwise start to swim. In flat places neither can be told from the
    other, so they follow their surroundings.
    """
    still = _smooth(_difference(image, other))
    moved = _smooth(_mismatch(flow, image, other))
    moves = np.clip((still - moved) / (still + 1e-6) * 4 - 0.6, 0, 1)  # from 15 % better on; wholly at 40 %
    telling = np.clip((_detail(image) / 20 + still / 8) * _stays(flow), 1e-4, 1)
    return np.asarray(flow * np.clip(fill_holes((moves * telling)[..., None], telling), 0, 1))


def _confidence(flow: Field, back: Field, image: Field, other: Field) -> tuple[Field, Field, Field]:
    """How far `flow` is confirmed: (certain, trust, explained), each (h, w) in [0, 1].

    `certain`: the flow there and back returns to where it started. `trust`: that, or the place has detail and
    the flow finds the same detail again, and does not return to somewhere else altogether. (Colour alone says
    nothing in flat places: any flow finds some.) `explained`: trusted and of the same colour.
    """
    height, width = flow.shape[:2]
    there = pixel_grid(height, width) + flow
    returned = sample(back, there)
    miss = _squared_length(flow + returned)
    longer = _squared_length(flow) + _squared_length(returned)
    certain = cv2.exp(-miss / (1 + 0.1 * longer))
    inside = _stays(flow)  # of what leaves the picture nobody can tell; its neighbours know better
    certain = certain * inside

    mismatch = _mismatch(flow, image, other)
    around = _smooth(mismatch)
    # Two flows at rest agree with each other, even where a drawing has been replaced by another.
    certain = certain * cv2.exp(-((around / (2 * SAME_DRAWING)) ** 2))
    found_again = cv2.exp(-((around / SAME_DRAWING) ** 2) - miss / (2 + longer))
    detailed = np.minimum(_detail(image) / 40, 1)
    trust = _supported(np.maximum(certain, found_again * detailed * inside))
    return _supported(certain), trust, trust * cv2.exp(-((mismatch / SAME_COLOUR) ** 2))


def _only_trusted(flow: Field, trust: Field) -> Field:
    """The flow where it is trusted, continued from there into the rest."""
    weight = np.minimum(trust + 1e-4, 1)
    return fill_holes(flow * weight[..., None], weight)


def _supported(trust: Field) -> Field:
    """Trust, lowered where it stands alone: a few chance matches in a place that is otherwise lost."""
    return trust * np.clip(_smooth(trust) * 3 - 0.5, 0, 1)


def _mismatch(flow: Field, image: Field, other: Field) -> Field:
    """Mean absolute colour difference after the flow, grey levels, (h, w)."""
    return _difference(sample(other, pixel_grid(*flow.shape[:2]) + flow), image)


def _difference(image: Field, other: Field) -> Field:
    """Absolute difference, mean of the channels, (h, w)."""
    return np.asarray(cv2.transform(cv2.absdiff(image, other), np.full((1, 3), 1 / 3, np.float32)))


def _detail(image: Field) -> Field:
    """How much is drawn around each pixel: mean strength of the edges there, (h, w)."""
    grey = cv2.transform(image, np.full((1, 3), 1 / 3, np.float32))
    return _smooth(np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1)))


def _stays(flow: Field) -> Field:
    """1 where the flow ends inside the picture, 0 where it leaves it, (h, w)."""
    height, width = flow.shape[:2]
    there = pixel_grid(height, width) + flow
    return np.asarray((cv2.inRange(there, (-1.0, -1.0), (float(width), float(height))) > 0).astype(np.float32))


def _squared_length(flow: Field) -> Field:
    return np.asarray(flow[..., 0] ** 2 + flow[..., 1] ** 2)


def _smooth(field: Field) -> Field:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), 4.0))
