"""The detector stage: panels of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen_manga.panels.detect import detect_panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.media import Box, Image, Region
    from animegen.stages import Context
    from animegen_manga.plugin import PanelOptions


class Panels:
    """Finds the panels of a page and puts them in reading order."""

    def __init__(self, options: PanelOptions, context: Context) -> None:
        self.options = options
        self.context = context

    def __call__(self, image: Image, text_boxes: Sequence[Box] = ()) -> list[Region]:
        """Panels in `image`, in reading order.

        Args:
            image: (H, W, 3) uint8 RGB, a page or a double page.
            text_boxes: Boxes of lettering in the image's pixels; lettering that lies over a gutter then does
                not hide it.

        Returns:
            One region of kind ``panel`` for each, with box, polygon and score; the whole page where none is
            found.
        """
        options = self.options
        return detect_panels(
            image,
            text_boxes,
            direction="ltr" if options.direction == "ltr" else "rtl",
            background="black"
            if options.background == "black"
            else "white"
            if options.background == "white"
            else "auto",
            threshold=options.threshold,
        )
