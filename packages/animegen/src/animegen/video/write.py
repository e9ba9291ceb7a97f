"""Clips to files: MP4, WebP, GIF, APNG, lossless Matroska, or a folder of PNGs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from animegen.atomic import replacing
from animegen.errors import MissingError, StageError, UsageError, did_you_mean
from animegen.media import describe, is_image
from animegen.video.folder import write_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from fractions import Fraction

    from animegen.media import Image

FORMATS = ("mp4", "webp", "gif", "mkv", "apng")
_BT709 = 1  # the number of ITU-R BT.709 in ITU-T H.273, for matrix, primaries and transfer alike


def write_video(
    path: str | Path,
    frames: Iterable[Image],
    fps: Fraction,
    *,
    format: str | None = None,
    quality: int = 90,
    comment: str = "",
    warn: Callable[[str], None] | None = None,
) -> None:
    """Write `frames` one after the other, never holding all of them; the file is whole or absent.

    ==========  ================================================================================================
    .mp4        H.264, yuv420p, BT.709, plays everywhere. An odd width or height gains one repeated column or row.
    .webp       Animated, loops.
    .gif        Animated, loops; 256 colours chosen for the whole clip. Delays are hundredths of a second, each
                the nearest; above 50 frames per second every second (third, ...) frame is kept.
    .apng       Animated PNG, lossless, loops.
    .mkv        FFV1, lossless RGB of any size.
    folder      (a path without suffix) 000000.png, 000001.png, ...; it does not keep `fps`.
    ==========  ================================================================================================

    Args:
        path: Where to; its suffix says the format.
        frames: (H, W, 3) uint8 RGB, all of one size.
        fps: Frames per second.
        format: One of `FORMATS` or ``folder``, to go against the suffix.
        quality: 1 .. 100, for MP4 (90 is CRF 16) and WebP (100 is lossless).
        comment: Kept in the comment tag of MP4, MKV and GIF.
        warn: Called with one sentence when frames had to be left out.

    Raises:
        UsageError: There are no frames, `fps` or `quality` is out of range, or the suffix is unknown.
        StageError: A frame is not an image, or not of the first one's size.
        MissingError: The encoder is not in this build of PyAV.
        ResourceError: The disk is full or read-only.
    """
    path = Path(path)
    kind = format or path.suffix.lower().removeprefix(".") or "folder"
    if kind not in (*FORMATS, "folder"):
        raise UsageError(
            f"{path} does not say which kind of clip is meant ({kind!r}).",
            hint=f"{did_you_mean(kind, FORMATS)}end it in .{', .'.join(FORMATS)}, or name a folder",
        )
    if not 0 < fps <= 1000:
        raise UsageError(f"{fps} frames per second cannot be played; it takes a number above 0, at most 1000.")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality is {quality}; it takes 1 .. 100.")
    checked = _checked(frames)
    first = next(checked, None)
    if first is None:
        raise UsageError(f"there are no frames to write to {path}.")
    stream = chain([first], checked)
    if kind == "folder":
        write_folder(path, stream)
        return
    with replacing(path) as beside:
        if kind == "gif":
            from animegen.video.gif import write_gif

            write_gif(beside, stream, fps, comment=comment, warn=warn)
            return
        codec = _codec(kind, quality)
        encode(beside, map(_even, stream) if kind == "mp4" else stream, fps, codec, comment)


def _checked(frames: Iterable[Image]) -> Iterator[Image]:
    shape = None
    for index, frame in enumerate(frames):
        if not is_image(frame):
            raise StageError(f"frame {index} is {describe(frame)}, not (H, W, 3) uint8 RGB.")
        shape = shape or frame.shape
        if frame.shape != shape:
            raise StageError(
                f"frame {index} is {frame.shape[1]}x{frame.shape[0]}, the frames before it are "
                f"{shape[1]}x{shape[0]}; a clip has one size."
            )
        yield np.ascontiguousarray(frame)


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


def _codec(kind: str, quality: int) -> Codec:
    match kind:
        case "mkv":
            return LOSSLESS
        case "apng":
            return Codec("apng", "apng", "rgb24", {"pred": "paeth", "compression_level": "1"}, {"plays": "0"})
        case "webp":
            options = {"lossless": "1"} if quality == 100 else {"quality": str(quality)}
            return Codec("webp", "libwebp_anim", "bgra", options, {"loop": "0"})
    crf = min(51, round(11 + (100 - quality) / 2))
    # On drawn clips "veryfast" is no larger than "medium" at the same CRF, and takes two fifths of the time.
    options = {"crf": str(crf), "preset": "veryfast", "tune": "animation"}
    return Codec("mp4", "libx264", "yuv420p", options, {"movflags": "+faststart"})


def _even(frame: Image) -> Image:
    """`frame` with its last row and column repeated where needed: yuv420p shares a colour among 2 × 2 pixels."""
    height, width = frame.shape[:2]
    if height % 2 == width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def picture(frame: Image, pixels: str) -> Any:
    """`frame` as libav's picture in the pixel format `pixels`."""
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
    options = codec.options | ({"slices": "1"} if codec == LOSSLESS and size[0] == 1 else {})
    # "file:" keeps a colon in a name from being read as a protocol.
    with av.open(f"file:{path}", "w", format=codec.container, options=codec.muxing) as output:
        if comment:
            output.metadata["comment"] = comment
        stream = output.add_stream(codec.name, rate=fps, options=options)
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
