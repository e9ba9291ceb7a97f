"""Two panels of any size brought to one working size, and frames brought back to the clip's size.

Aspect is always kept. Each panel is resampled once on its way in and each frame once on its way out, and not
at all where nothing has to change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from animegen._cv2 import cv2
from animegen.errors import StageError, UsageError
from animegen.media import Box
from animegen.stages import Needs

if TYPE_CHECKING:
    from animegen.media import Image

_LARGEST = 16_384  # what H.264 and WebP can hold


@dataclass(frozen=True)
class Fitting:
    """How two panels reach the interpolator and its frames reach the clip. Sizes are (width, height).

    Attributes:
        size: Size of the clip.
        panels: Sizes of the two panels.
        crop: Whether a panel of another aspect is cropped to the clip's, instead of laid on its paper colour.
        inner: Where the clip's picture lies in the working size.
        working: What the interpolator sees.
    """

    size: tuple[int, int]
    panels: tuple[tuple[int, int], tuple[int, int]]
    crop: bool
    inner: Box
    working: tuple[int, int]

    @property
    def identity(self) -> bool:
        """Whether frames of working size are the clip's frames as they are."""
        return self.size == self.working == (self.inner.width, self.inner.height)

    def apply(self, image: Image, which: Literal[0, 1]) -> Image:
        """Panel number `which` at working size.

        The panel itself, not a copy, where nothing has to change.

        Raises:
            StageError: It does not have the size that was planned for.
        """
        _check(image, self.panels[which])
        if self.crop:
            image = _cropped(image, self.size)
            box = Box(0, 0, *self.size)
        else:
            box = _inside((image.shape[1], image.shape[0]), self.size)
        target = self._scaled(box)
        fitted = _resized(image, (target.width, target.height))
        right, bottom = self.working[0] - target.x1, self.working[1] - target.y1
        if not any((target.x0, target.y0, right, bottom)):
            return fitted
        if (target.width, target.height) == (self.inner.width, self.inner.height) and not (
            self.inner.x0 or self.inner.y0
        ):  # only rounded up to a multiple: what lies outside is cut off again, so go on as the edge ends
            return _bordered(fitted, target, right, bottom, cv2.BORDER_REPLICATE)
        return _bordered(fitted, target, right, bottom, cv2.BORDER_CONSTANT, paper_colour(image))

    def restore(self, frame: Image) -> Image:
        """A frame of working size at the size of the clip.

        Raises:
            StageError: It is not of working size.
        """
        _check(frame, self.working)
        inner = self.inner
        if (inner.width, inner.height) != self.working:
            frame = np.ascontiguousarray(frame[inner.y0 : inner.y1, inner.x0 : inner.x1])
        return _resized(frame, self.size)

    def __str__(self) -> str:
        inner = (self.inner.width, self.inner.height)
        parts = [_text(self.size)]
        if inner != self.size:
            parts.append(f"at {_text(inner)}")
        if inner != self.working:
            parts.append(f"in {_text(self.working)}")
        return " ".join(parts)

    def _scaled(self, box: Box) -> Box:
        """A box of the clip in working coordinates."""
        x, y = self.inner.width / self.size[0], self.inner.height / self.size[1]
        width = min(self.inner.width, max(1, round(box.width * x)))
        height = min(self.inner.height, max(1, round(box.height * y)))
        # Centred in the inner box, as `box` is in the clip.
        x0 = self.inner.x0 + (self.inner.width - width) // 2
        y0 = self.inner.y0 + (self.inner.height - height) // 2
        return Box(x0, y0, x0 + width, y0 + height)


def plan_fit(
    first: tuple[int, int],
    last: tuple[int, int],
    *,
    mode: str | tuple[int, int] = "fit",
    needs: Needs | None = None,
) -> Fitting:
    """Plan how two panels of size `first` and `last` become a clip.

    The clip has the first panel's size, unless `mode` names one. The other panel is scaled to lie inside, centred
    on its own paper colour, or with ``crop`` scaled to cover and cut. An interpolator that was made for one size
    (`Needs.size`) sees the clip's picture letterboxed into that size; what it sees is a multiple of
    `Needs.multiple_of`.

    Args:
        first: Width and height of the first panel.
        last: Width and height of the last panel.
        mode: ``fit``, ``crop``, or a size of the clip: ``640x480`` or (640, 480).
        needs: What the interpolator asks for.

    Raises:
        UsageError: `mode` is none of these, or a size that no clip can have.
    """
    needs = needs or Needs()
    size = first if mode in ("fit", "crop") else parse_size(mode)
    inner = Box(0, 0, *size) if needs.size is None else _inside(size, needs.size)
    canvas = needs.size or size
    step = needs.multiple_of
    working = (-(-canvas[0] // step) * step, -(-canvas[1] // step) * step)
    return Fitting(size, (first, last), mode == "crop", inner, working)


def parse_size(text: str | tuple[int, int]) -> tuple[int, int]:
    """Width and height from ``640x480`` (or ``640×480``, or the two numbers).

    Raises:
        UsageError: It is not a size, or one beyond 16,384.
    """
    shown = text if isinstance(text, str) else _text(text)
    match = re.fullmatch(r"(\d{1,6})\s*[x×X]\s*(\d{1,6})", shown.strip())
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (min(size) >= 1 and max(size) <= _LARGEST):
        raise UsageError(
            f"the size is {shown!r}; it takes fit, crop, or WIDTHxHEIGHT.",
            hint=f"for example 640x480; each number 1 .. {_LARGEST}",
        )
    return size


def paper_colour(image: Image) -> tuple[int, int, int]:
    """Median colour of a narrow ring along the border of `image`, (H, W, 3) uint8 RGB."""
    height, width = image.shape[:2]
    ring = max(1, min(height, width) // 50)
    sides = (image[:ring], image[-ring:], image[:, :ring], image[:, -ring:])
    red, green, blue = np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), axis=0)
    return int(red), int(green), int(blue)


def _inside(size: tuple[int, int], canvas: tuple[int, int]) -> Box:
    """The largest centred box of the aspect of `size` in `canvas`."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    width = min(canvas[0], max(1, round(size[0] * scale)))
    height = min(canvas[1], max(1, round(size[1] * scale)))
    x0, y0 = (canvas[0] - width) // 2, (canvas[1] - height) // 2
    return Box(x0, y0, x0 + width, y0 + height)


def _cropped(image: Image, size: tuple[int, int]) -> Image:
    """The largest centred part of `image` with the aspect of `size`."""
    box = _inside(size, (image.shape[1], image.shape[0]))
    if (box.width, box.height) == (image.shape[1], image.shape[0]):
        return image
    return np.ascontiguousarray(image[box.y0 : box.y1, box.x0 : box.x1])


def _resized(image: Image, size: tuple[int, int]) -> Image:
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    smaller = size[0] * size[1] < width * height
    result: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return result


def _bordered(
    image: Image, box: Box, right: int, bottom: int, kind: int, colour: tuple[int, int, int] = (0, 0, 0)
) -> Image:
    result: Image = cv2.copyMakeBorder(image, box.y0, bottom, box.x0, right, kind, value=colour)
    return result


def _check(image: Image, size: tuple[int, int]) -> None:
    if (image.shape[1], image.shape[0]) != size:
        got = _text((image.shape[1], image.shape[0]))
        raise StageError(f"an image of {got} came where {_text(size)} was planned.")


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
