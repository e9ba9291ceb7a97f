"""A page to look at: panels outlined and numbered in reading order, balloons and lettering tinted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from animegen.media import Box, Image, Region

_COLOURS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (148, 103, 189), (255, 127, 14), (23, 190, 207))
_TINT = {"text": (255, 220, 0), "balloon": (0, 200, 255)}


def page_overlay(
    image: Image,
    panels: Sequence[Region],
    *,
    text_boxes: Sequence[Box] = (),
    balloons: Sequence[Region] = (),
    uncertain: Collection[int] = (),
) -> Image:
    """Draw what was found over a page.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        panels: In reading order; their polygon is drawn, or their box where they have none.
        text_boxes: Tinted yellow.
        balloons: Tinted blue, by mask where they have one.
        uncertain: Positions in `panels` whose number gets a question mark.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    shown = image.copy()
    for box in text_boxes:
        inside = box.clip(width, height)
        _tint(shown[inside.y0 : inside.y1, inside.x0 : inside.x1], None, _TINT["text"])
    for balloon in balloons:
        inside = balloon.box.clip(width, height)
        dx, dy = inside.x0 - balloon.box.x0, inside.y0 - balloon.box.y0
        mask = balloon.mask
        if mask is not None:
            mask = mask[dy : dy + inside.height, dx : dx + inside.width]
        _tint(shown[inside.y0 : inside.y1, inside.x0 : inside.x1], mask, _TINT["balloon"])
    thick = max(2, min(height, width) // 200)
    size = min(height, width) / 400
    for i, panel in enumerate(panels):
        colour = _COLOURS[i % len(_COLOURS)]
        box = panel.box
        corners = panel.polygon or ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
        cv2.polylines(shown, [np.array(corners, np.int32)], True, colour, thick, cv2.LINE_AA)
        label = f"{i + 1}?" if i in uncertain else str(i + 1)
        (w, h), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, 2 * thick)
        x, y = min(box.x0 + 3 * thick, width - w), min(box.y0 + 3 * thick + h, height - 1)
        cv2.rectangle(shown, (x - thick, y - h - thick), (x + w + thick, y + 2 * thick), (255, 255, 255), -1)
        cv2.putText(shown, label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 2 * thick, cv2.LINE_AA)
    return shown


def _tint(view: Image, mask: np.ndarray | None, colour: tuple[int, int, int]) -> None:
    if not view.size:
        return
    mixed = (view.astype(np.uint16) + np.array(colour, np.uint16)) // 2
    where = np.ones(view.shape[:2], bool) if mask is None else mask
    view[where] = mixed[where].astype(np.uint8)
