"""The data that flows between stages: images, masks, frames, boxes, regions, panels, pairs and clips.

Arrays are plain numpy: RGB, uint8, C-contiguous. Nothing here reads or writes a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image: TypeAlias = NDArray[np.uint8]
    """(H, W, 3) uint8 RGB. A grey page is three equal channels. Where a text says so, (H, W, 4) with alpha."""
    Mask: TypeAlias = NDArray[np.bool_]
    """(H, W) bool, True where something is to be filled."""
    Frames: TypeAlias = NDArray[np.uint8]
    """(T, H, W, 3) uint8 RGB."""

Polygon: TypeAlias = tuple[tuple[int, int], ...]
"""Corner points (x, y) in pixels, in order, not closed."""


class Box(NamedTuple):
    """A rectangle in pixels, origin top left; x1 and y1 are outside it (end-exclusive)."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Pixels inside; 0 for an empty or inverted box."""
        return max(0, self.width) * max(0, self.height)

    def clip(self, width: int, height: int) -> Box:
        """The part inside a picture of `width` × `height`."""
        return Box(
            min(max(self.x0, 0), width),
            min(max(self.y0, 0), height),
            min(max(self.x1, 0), width),
            min(max(self.y1, 0), height),
        )

    def intersection(self, other: Box) -> Box:
        """The common part (with area 0 where there is none)."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def iou(self, other: Box) -> float:
        """Intersection over union in [0, 1]."""
        common = self.intersection(other).area
        union = self.area + other.area - common
        return common / union if union else 0.0

    def shift(self, dx: int, dy: int) -> Box:
        """The same box moved by (dx, dy)."""
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)


@dataclass(frozen=True, eq=False)
class Region:
    """Something found in a picture.

    Attributes:
        kind: What it is.
        box: Its bounding box.
        score: How sure the finder is, in [0, 1].
        method: How it was found, e.g. ``flood`` or ``ellipse``; empty when there is only one way.
        mask: Its pixels, the size of `box` (not of the picture), or None when the box is all there is.
        polygon: Its outline in the picture's coordinates, or empty.
    """

    kind: Literal["balloon", "panel", "text"]
    box: Box
    score: float = 1.0
    method: str = ""
    mask: Mask | None = None
    polygon: Polygon = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """One drawing to start or end at, with what is known about it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        text_boxes: Annotated boxes of lettering, in the panel's pixels; None where nobody has annotated the panel,
            an empty tuple where somebody has and there is no lettering.
        name: Where it comes from, for people: a file name, or ``TITLE p012 #3``.
        mask: Pixels to remove given by the user; joined with what is detected.
    """

    image: Image
    text_boxes: tuple[Box, ...] | None = None
    name: str = ""
    mask: Mask | None = None


@dataclass(frozen=True, eq=False)
class PanelPair:
    """Two panels to animate between.

    Attributes:
        first: Panel at time 0.
        last: Panel at time 1.
        prompt: Text for interpolators that read one.
        id: A name for tables and folders.
    """

    first: Panel
    last: Panel
    prompt: str = ""
    id: str = ""


@dataclass(frozen=True, eq=False)
class Strip:
    """Panels to animate one after the other.

    Attributes:
        panels: In order, at least one; one alone makes a clip only where that goes back to its first panel.
        prompt: Text for interpolators that read one.
        id: A name for tables and folders.
    """

    panels: tuple[Panel, ...]
    prompt: str = ""
    id: str = ""

    @classmethod
    def of(cls, panels: PanelPair | Strip) -> Strip:
        """A pair as a strip of two panels; a strip is itself."""
        if isinstance(panels, Strip):
            return panels
        return cls((panels.first, panels.last), panels.prompt, panels.id)


def union_mask(regions: Sequence[Region], height: int, width: int) -> Mask:
    """Pixels of all regions in a picture of `height` × `width`: (H, W) bool."""
    import numpy as np

    mask = np.zeros((height, width), dtype=bool)
    for region in regions:
        box = region.box.clip(width, height)
        if not box.area:
            continue
        view = mask[box.y0 : box.y1, box.x0 : box.x1]
        if region.mask is None:
            view[:] = True
        else:
            dx, dy = box.x0 - region.box.x0, box.y0 - region.box.y0
            view |= region.mask[dy : dy + box.height, dx : dx + box.width]
    return mask


def describe(value: object) -> str:
    """What an array is, for messages: ``(60, 320, 512, 3) float32``."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return type(value).__name__ if shape is None else f"{tuple(shape)} {dtype}"


def is_image(value: object) -> bool:
    """Whether `value` is an (H, W, 3) uint8 array with at least one pixel."""
    import numpy as np

    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and value.ndim == 3
        and value.shape[2] == 3
        and value.size > 0
    )
