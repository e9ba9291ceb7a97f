"""Pictures into a file through libav: colour said in full, one picture at a time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import av
from av.video.reformatter import ColorRange, Colorspace

from animegen.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction
    from pathlib import Path

    from animegen.media import Image

_BT709 = 1  # the number of ITU-R BT.709 in ITU-T H.273, for matrix, primaries and transfer alike


@dataclass(frozen=True)
class Codec:
    """What libav has to be told for one format.

    Attributes:
        container: Name of the muxer.
        name: Name of the encoder.
        pixels: Pixel format the encoder gets.
        options: Options of the encoder.
        muxing: Options of the muxer.
    """

    container: str
    name: str
    pixels: str
    options: dict[str, str] = field(default_factory=dict)
    muxing: dict[str, str] = field(default_factory=dict)


# FFV1 takes 8-bit RGB in the byte order that libav calls bgr0. Every frame is a key frame with a checksum.
LOSSLESS = Codec("matroska", "ffv1", "bgr0", {"level": "3", "g": "1", "slicecrc": "1"})


def h264(quality: int) -> Codec:
    """H.264 in MP4; `quality` is 1 .. 100, of which 90 is CRF 16."""
    crf = min(51, round(11 + (100 - quality) / 2))
    # On drawn clips "veryfast" is no larger than "medium" at the same CRF, and takes two fifths of the time.
    options = {"crf": str(crf), "preset": "veryfast", "tune": "animation"}
    return Codec("mp4", "libx264", "yuv420p", options, {"movflags": "+faststart"})


def picture(frame: Image, pixels: str) -> Any:
    """`frame` as libav's picture in the pixel format `pixels`."""
    if frame.shape[2] == 4:
        rgba = av.VideoFrame.from_ndarray(frame, format="rgba")
        return rgba if pixels == "rgba" else rgba.reformat(format=pixels)
    rgb = av.VideoFrame.from_ndarray(frame, format="rgb24")
    if pixels == "yuv420p":  # said in full: the converter's own default is BT.601
        return rgb.reformat(
            format=pixels,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation="BICUBIC",
        )
    return rgb if pixels == "rgb24" else rgb.reformat(format=pixels)


def encode(path: Path, frames: Iterator[Image], fps: Fraction, codec: Codec, comment: str = "") -> None:
    """Write all `frames` (at least one, all of one size) to `path`."""
    first = next(frames)
    with muxer(path, (first.shape[1], first.shape[0]), fps, codec, comment) as put:
        for frame in chain([first], frames):
            put(picture(frame, codec.pixels))


@contextmanager
def muxer(
    path: Path, size: tuple[int, int], fps: Fraction, codec: Codec, comment: str = ""
) -> Iterator[Callable[[Any], None]]:
    """A function that adds one picture to the file at `path`, which is complete after the block.

    Raises:
        MissingError: The encoder is not in this build of PyAV.
    """
    if codec.name not in av.codecs_available:
        raise MissingError(
            f"this build of PyAV cannot write {codec.container} clips: it has no {codec.name} encoder.",
            hint="python -m pip install --force-reinstall --only-binary=av av",
        )
    # FFV1 cuts a frame into slices to code them at once, and cannot cut what is one pixel wide.
    options = codec.options | ({"slices": "1"} if codec.name == "ffv1" and size[0] == 1 else {})
    # "file:" keeps a colon in a name from being read as a protocol.
    with av.open(f"file:{path}", "w", format=codec.container, options=codec.muxing) as output:
        if comment:
            output.metadata["comment"] = comment
        stream: Any = output.add_stream(codec.name, rate=fps, options=options)  # typed by name; ours is a variable
        stream.width, stream.height = size
        stream.pix_fmt = codec.pixels
        if codec.pixels == "yuv420p":
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = ColorRange.MPEG
        numbers = count()

        def put(picture: Any) -> None:
            picture.pts, picture.time_base = next(numbers), 1 / fps
            output.mux(stream.encode(picture))

        yield put
        output.mux(stream.encode(None))
