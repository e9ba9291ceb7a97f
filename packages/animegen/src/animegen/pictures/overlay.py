"""Pictures that show what was found in a panel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen.media import Region, union_mask

if TYPE_CHECKING:
    from animegen.media import Image, Mask

_REMOVED = (214, 40, 57)
_KEPT = (38, 120, 178)


def draw_regions(
    image: Image,
    regions: Sequence[Region],
    *,
    first_number: int = 1,
    kept: Collection[int] = (),
    mask: Mask | None = None,
) -> Image:
    """`image` with each region tinted and numbered.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        regions: What was found.
        first_number: Number of the first region.
        kept: Numbers of regions that stay, drawn in blue instead of red.
        mask: (H, W) bool, all that is removed; tinted faintly beyond the regions.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    drawn = image.copy()
    height, width = image.shape[:2]
    if mask is not None:
        _tint(drawn, mask, _REMOVED, 0.35)
    scale = max(0.4, min(height, width) / 700)
    thickness = max(1, round(scale * 2))
    for number, region in enumerate(regions, start=first_number):
        colour = _KEPT if number in kept else _REMOVED
        shape = union_mask([region], height, width)
        if mask is None or number in kept:
            _tint(drawn, shape, colour, 0.35)
        outline, _ = cv2.findContours(shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outline, -1, colour, thickness)
        place = (region.box.x0 + thickness, region.box.y1 - 2 * thickness)
        for ink, weight in (((255, 255, 255), thickness + 3), (colour, thickness)):
            cv2.putText(drawn, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, weight, cv2.LINE_AA)
    return drawn


def side_by_side(*pictures: Image, gap: int = 12) -> Image:
    """Pictures beside each other on white, tops aligned: (max H, W + gap + W + ..., 3) uint8 RGB."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] + gap for picture in pictures) - gap
    sheet = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return sheet


def _tint(image: Image, mask: Mask, colour: tuple[int, int, int], strength: float) -> None:
    blended = image[mask] * (1 - strength) + np.array(colour) * strength
    image[mask] = blended.astype(np.uint8)
