"""The detector stage: balloons in a page or panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from animegen_manga.balloons.annotated import balloon_masks
from animegen_manga.balloons.detect import detect_balloons

if TYPE_CHECKING:
    from animegen.media import Box, Image, Region
    from animegen.stages import Context
    from animegen_manga.plugin import BalloonOptions


class Balloons:
    """Finds balloons: around annotated text boxes where there are any, else by their own look."""

    def __init__(self, options: BalloonOptions, context: Context) -> None:
        self.options = options
        self.context = context

    def __call__(self, image: Image, text_boxes: Sequence[Box] = ()) -> list[Region]:
        """Balloons in `image`.

        Args:
            image: (H, W, 3) uint8 RGB, a page or one panel.
            text_boxes: Annotated boxes of lettering in the image's pixels; without any, balloons are detected.

        Returns:
            One region per balloon with its mask, the method that found it and a score in [0, 1].
        """
        o = self.options
        if text_boxes:
            return balloon_masks(
                image,
                text_boxes,
                grow=o.grow,
                outline=o.outline,
                drawn_text=o.drawn_text,  # type: ignore[arg-type]
            )
        return detect_balloons(image, grow=o.grow, outline=o.outline, min_score=o.min_score)
