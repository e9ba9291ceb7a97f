"""A frame of a video as the pieces of the upsampler hand it on: its place, its time and its picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from fractions import Fraction

    from animegen.media import Image


class SourceFrame(Protocol):
    """One frame of a source, whose picture may not have been made yet.

    `image` and `luma` give the same array each time, which is not to be written to. Any thread may call them.
    """

    @property
    def index(self) -> int:
        """Its number in the source, from 0."""

    @property
    def time(self) -> Fraction:
        """When it is shown, in seconds since the first frame (which has 0); strictly ascending, exact."""

    @property
    def duration(self) -> Fraction | None:
        """How long it is shown, in seconds; None where the source does not say (until the next frame, then)."""

    def image(self) -> Image:
        """The picture: (H, W, 3) uint8 RGB, or (H, W, 4) uint8 RGBA with straight alpha where there is alpha."""

    def luma(self) -> Image:
        """Its brightness: (H, W) uint8, cheap. The range (16 .. 235 or 0 .. 255) is the source's own."""


@dataclass(frozen=True, eq=False)
class ArrayFrame:
    """A `SourceFrame` that is in memory already.

    Args:
        index: Its number, from 0.
        time: Seconds since the first frame.
        pixels: (H, W, 3) or (H, W, 4) uint8, as `image` gives it.
        duration: Seconds, or None.
    """

    index: int
    time: Fraction
    pixels: Image
    duration: Fraction | None = None
    _luma: list[Image] = field(default_factory=list, init=False, repr=False)

    def image(self) -> Image:
        return self.pixels

    def luma(self) -> Image:
        if not self._luma:
            self._luma.append(luma_of(self.pixels))
        return self._luma[0]


def luma_of(image: Image) -> Image:
    """Luma of (H, W, 3) RGB or (H, W, 4) RGBA by ITU-R BT.601, full range: (H, W) uint8. Alpha is left out."""
    grey: Image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY if image.shape[2] == 3 else cv2.COLOR_RGBA2GRAY)
    return grey
