"""Motion between two drawings: dense flow both ways, and how far each pixel of it can be trusted.

Flow is found by DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016), coarse to
fine, on luma mixed with a soft distance to the drawn lines: grey alone is blind inside flat colour, where the
distance still says which line is near and on which side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

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
NOISE = 3.0
"""Grey levels that two equal places may differ by."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What moved where between two images, on a grid smaller than they are.

    Attributes:
        forward: (h, w, 2) flow first → last, pixels of the grid.
        backward: (h, w, 2) flow last → first.
        trust_first: (h, w) in [0, 1], how well `forward` is confirmed at each pixel of the first image.
        trust_last: The same for `backward`.
        found: Share in [0, 1] of what differs between the images that the flow explains.
    """

    forward: Field
    backward: Field
    trust_first: Field
    trust_last: Field
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
    features = [cv2.copyMakeBorder(feature, *pad, cv2.BORDER_REPLICATE) for feature in features]
    grid_height, grid_width = -(-height // GRID_STEP), -(-width // GRID_STEP)
    flows = [
        resize_flow(_search(a, b)[:height, :width], grid_height, grid_width) for a, b in (features, features[::-1])
    ]
    images = [
        cv2.GaussianBlur(resize(image, grid_height, grid_width), (0, 0), 0.7).astype(np.float32) for image in small
    ]
    forward = _unless_still(flows[0], *images)
    backward = _unless_still(flows[1], *images[::-1])
    trust_first, seen_first = _trust(forward, backward, *images)
    trust_last, seen_last = _trust(backward, forward, *images[::-1])
    differs = np.clip(np.abs(images[0] - images[1]).mean(-1) / 16 - 0.25, 0, 1)
    changed = float(differs.sum())
    found = float((differs * (seen_first + seen_last)).sum() / 2 / changed) if changed > 0.5 else 1.0
    return Motion(forward, backward, trust_first, trust_last, found)


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


def _search(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Field:
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1)
    return np.asarray(dis.calc(a, b, None))


def _unless_still(flow: Field, image: Field, other: Field) -> Field:
    """The flow, taken back to zero where it explains the other image no better than standing still does.

    Noise, flicker and redrawn parts otherwise start to swim. In flat places neither can be told from the
    other, so they follow their surroundings.
    """
    still = _smooth(np.abs(image - other).mean(-1))
    moved = _smooth(_mismatch(flow, image, other))
    moves = np.clip((still - moved) / (still + 1e-6) * 4 - 0.6, 0, 1)
    grey = image.mean(-1)
    detail = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    telling = np.clip(_smooth(detail) / 20 + still / 8, 1e-4, 1)
    return flow * np.clip(fill_holes((moves * telling)[..., None], telling), 0, 1)


def _trust(flow: Field, back: Field, image: Field, other: Field) -> tuple[Field, Field]:
    """Whether the flow there and back returns, and whether it also finds the same colour: both (h, w) in [0, 1].

    A pixel that leaves the picture can be neither confirmed nor denied: 0.5.
    """
    height, width = flow.shape[:2]
    there = pixel_grid(height, width) + flow
    returned = sample(back, there)
    miss = ((flow + returned) ** 2).sum(-1)
    allowed = 0.5 + 0.05 * ((flow**2).sum(-1) + (returned**2).sum(-1))
    inside = ((there >= -1) & (there <= (width, height))).all(-1)
    trust = np.where(inside, np.exp(-miss / allowed), 0.5).astype(np.float32)
    return trust, trust * np.exp(-((_mismatch(flow, image, other) / (8 * NOISE)) ** 2))


def _mismatch(flow: Field, image: Field, other: Field) -> Field:
    """Mean absolute colour difference after the flow, grey levels, (h, w)."""
    moved = sample(other, pixel_grid(*flow.shape[:2]) + flow)
    return np.asarray(np.abs(moved - image).mean(-1))


def _smooth(field: Field) -> Field:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), 4.0))
