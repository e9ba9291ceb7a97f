"""Colour of coded pictures: what the numbers of a file mean, and the way from them to RGB and back.

Numbers are those of ITU-T H.273: matrix (table 4), primaries (table 2), transfer (table 3).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

if TYPE_CHECKING:
    from animegen.media import Image

UNSPECIFIED = 2
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
HDR = {16: "PQ", 18: "HLG"}
"""Transfers of high dynamic range, by number."""

_local = threading.local()


@dataclass(frozen=True)
class Colour:
    """How a picture of luma and colour differences is meant.

    Attributes:
        matrix: The one that is used; where the file names none, BT.709 (1) for what is larger than standard
            television, else BT.601 (6).
        primaries: As named by the file; 2 where it names none.
        transfer: As named by the file; 2 where it names none.
        full_range: Whether black is 0 and white 255, not 16 and 235.
        named: Whether the file names the matrix; a copy names it only then.
    """

    matrix: int = 1
    primaries: int = 1
    transfer: int = 1
    full_range: bool = False
    named: bool = True

    @property
    def space(self) -> Any:
        """libav's name of the matrix."""
        return MATRICES[self.matrix]

    @property
    def range(self) -> Any:
        """libav's name of the range."""
        return ColorRange.JPEG if self.full_range else ColorRange.MPEG


BT709 = Colour()
"""What RGB pictures are coded as."""


def colour_of(frame: Any) -> Colour | None:
    """The colour of a decoded frame, or None where it holds RGB (or a palette)."""
    if not is_yuv(frame.format) and not _is_grey(frame.format):
        return None
    large = frame.width > 1024 or frame.height > 576
    named = int(frame.colorspace) in MATRICES
    whole = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    if _is_grey(frame.format):
        whole = frame.color_range != ColorRange.MPEG
    return Colour(
        int(frame.colorspace) if named else (1 if large else 6),
        int(frame.color_primaries),
        int(frame.color_trc),
        whole,
        named,
    )


def unknown_matrix(frame: Any) -> int | None:
    """The number of a matrix that this program does not know, else None."""
    number = int(frame.colorspace)
    return number if is_yuv(frame.format) and number not in (*MATRICES, 0, UNSPECIFIED, 3) else None


def is_yuv(format: Any) -> bool:
    """Whether a pixel format holds luma and two colour differences."""
    return not format.is_rgb and not format.has_palette and len(format.components) >= 3 and "xyz" not in format.name


def has_alpha(format: Any) -> bool:
    """Whether a pixel format holds alpha."""
    return not format.has_palette and any(part.is_alpha for part in format.components)


def bits_of(format: Any) -> int:
    """Bits per channel; a palette has 8."""
    return 8 if format.has_palette else max(part.bits for part in format.components)


def turned(array: Any, frame: Any) -> Any:
    """`array` as a player shows it, which turns the picture as the file says."""
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(array, quarters) if quarters else array)


def to_rgb(frame: Any) -> Image:
    """RGB by the matrix and range the frame means: (H, W, 3) uint8, upright. Alpha is left out."""
    source = frame
    if is_yuv(frame.format):
        colour = colour_of(frame)
        assert colour is not None
        meant = {"src_colorspace": colour.space, "src_color_range": colour.range}
        # Colour first goes to full size by cubic interpolation: the direct way repeats it among 2 × 2 pixels,
        # which costs 7 dB along drawn lines.
        same = {"dst_colorspace": colour.space, "dst_color_range": colour.range}
        frame = _converter(0)(frame, format=_full_size(frame.format), interpolation="BICUBIC", **meant, **same)
        frame = _converter(1)(frame, format="rgb24", dst_color_range=ColorRange.JPEG, **meant)
        return turned(frame.to_ndarray(), source)  # type: ignore[no-any-return]
    image = _converter(2)(frame, format="rgb24").to_ndarray()
    if _is_grey(source.format) and source.color_range == ColorRange.MPEG:  # which libav takes for full range
        image = np.clip((image.astype(np.float32) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)
    return turned(image, source)  # type: ignore[no-any-return]


def to_rgba(frame: Any) -> Image:
    """As `to_rgb`, with the alpha as it stands in the file: (H, W, 4) uint8."""
    if is_yuv(frame.format):
        return np.dstack([to_rgb(frame), turned(_plane(frame, 3), frame)])
    return turned(_converter(3)(frame, format="rgba").to_ndarray(), frame)  # type: ignore[no-any-return]


def luma(frame: Any) -> Image | None:
    """The first plane of a frame that has luma there: (H, W) uint8, upright, in the file's own range; else None."""
    format = frame.format
    if not (is_yuv(format) or _is_grey(format)) or not (format.is_planar or len(format.components) == 1):
        return None
    return turned(_plane(frame, 0), frame)  # type: ignore[no-any-return]


def to_yuv420(reformatter: Any, image: Image, colour: Colour) -> Any:
    """(H, W, 3) uint8 RGB as a picture of libav in yuv420p. (The converter's own default is BT.601.)"""
    return reformatter.reformat(
        av.VideoFrame.from_ndarray(image, format="rgb24"),
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=colour.space,
        dst_color_range=colour.range,
        interpolation="BICUBIC",
    )


def tag(context: Any, colour: Colour, *, rgb: bool = False) -> None:
    """Name `colour` in an encoder's context; `rgb` for a picture that has RGB, with the primaries and transfer."""
    context.colorspace = 0 if rgb else colour.matrix if colour.named else UNSPECIFIED
    context.color_primaries = colour.primaries
    context.color_trc = colour.transfer
    context.color_range = ColorRange.JPEG if rgb else colour.range


def _is_grey(format: Any) -> bool:
    return len(format.components) <= 2 and not format.is_rgb and not format.has_palette


def _full_size(format: Any) -> str:
    """The format with a colour for every pixel and as many bits."""
    if format.name.startswith("yuvj"):
        return "yuvj444p"
    bits = bits_of(format)
    return "yuv444p" if bits == 8 else f"yuv444p{bits}le"


def _plane(frame: Any, number: int) -> Any:
    """Plane `number` as (H, W) uint8; more bits are rounded to 8."""
    plane = frame.planes[number]
    bits = frame.format.components[number].bits
    if bits <= 8:
        return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
    deep = np.frombuffer(plane, "<u2" if frame.format.name.endswith("le") else ">u2")
    deep = deep.reshape(-1, plane.line_size // 2)[: plane.height, : plane.width].astype(np.uint32)
    top = (1 << bits) - 1 if number == 3 else 255 << (bits - 8)  # alpha is 0 .. 2^n - 1, luma 16·2^(n-8) ..
    return np.minimum((deep * 255 + top // 2) // top, 255).astype(np.uint8)


def _converter(step: int) -> Any:
    """This thread's own converter for one step, which is set up anew only where it is asked for something new."""
    known = _local.__dict__.setdefault("converters", {})
    return known.setdefault(step, VideoReformatter()).reformat
