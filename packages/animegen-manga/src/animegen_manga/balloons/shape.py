"""Small operations on masks that every step here shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from animegen.media import Mask


def disc(radius: int) -> NDArray[np.uint8]:
    """Structuring element: a filled circle of `radius` px."""
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def dilate(mask: Mask, radius: int) -> Mask:
    """`mask` grown by `radius` px all around."""
    if radius < 1:
        return mask
    if radius <= 3:
        return cv2.dilate(mask.astype(np.uint8), disc(radius)) > 0
    if not mask.any():
        return mask
    # A distance transform costs the same for every radius; a large disc costs its area per pixel.
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= radius


def outline(mask: Mask) -> Sequence[NDArray[np.int32]]:
    """Outer contours, every pixel of them, as OpenCV gives them: each (N, 1, 2) of x, y."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(contour, np.int32) for contour in found]


def outline_points(mask: Mask) -> NDArray[np.int32]:
    """All pixels of the outer contours: (N, 2) of x, y; empty for an empty mask."""
    found = outline(mask)
    return np.concatenate(found)[:, 0] if found else np.zeros((0, 2), np.int32)


def fill_holes(mask: Mask) -> Mask:
    """`mask` with everything inside its outer contours."""
    out = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(out, outline(mask), -1, 1, cv2.FILLED)
    return out > 0


def depth(mask: Mask) -> NDArray[np.float32]:
    """Distance of each True pixel to the nearest False one, px; the picture's edge does not count as False."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def solidity(mask: Mask) -> float:
    """Area over the area of the convex hull, in (0, 1]; 0 for an empty mask."""
    found = outline(mask)
    if not found:
        return 0.0
    hull = cv2.convexHull(np.concatenate(found))
    return min(1.0, float(mask.sum()) / max(1.0, cv2.contourArea(hull)))


def body(mask: Mask) -> Mask:
    """`mask` without tail and spikes: opened by a disc of an eighth of the side of a square of the same area."""
    radius = max(1, round(0.125 * float(mask.sum()) ** 0.5))
    deep = depth(mask) > radius
    return dilate(deep, radius + 1) & mask


def likeness(mask: Mask) -> float:
    """IoU of `mask` with the ellipse of its moments or with its tightest rectangle, whichever is larger."""
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    area = moments["m00"]
    if area < 9:
        return 0.0
    centre = (moments["m10"] / area, moments["m01"] / area)
    spread = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]) / area
    values, vectors = np.linalg.eigh(spread)
    axes = 4 * np.sqrt(np.maximum(values, 0.25))
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    best = 0.0
    points = np.concatenate(outline(mask))
    rectangle = cv2.boxPoints(cv2.minAreaRect(points))
    for kind in ("ellipse", "rectangle"):
        drawn = np.zeros(mask.shape, np.uint8)
        if kind == "ellipse":
            cv2.ellipse(drawn, (centre, (float(axes[0]), float(axes[1])), angle), 1, cv2.FILLED)
        else:
            cv2.fillConvexPoly(drawn, np.round(rectangle).astype(np.int32), 1)
        fitted = drawn > 0
        best = max(best, float((fitted & mask).sum() / (fitted | mask).sum()))
    return best
