"""Clips to files: MP4, WebP, GIF, APNG, lossless Matroska, or a folder of PNGs."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animegen.atomic import replacing
from animegen.errors import StageError, UsageError, did_you_mean
from animegen.imageio import lay_on
from animegen.media import describe, is_image
from animegen.video.coding import even_sized, no_alpha
from animegen.video.encode import LOSSLESS, Codec, encode, h264
from animegen.video.folder import write_folder
from animegen.video.gif import write_gif

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from fractions import Fraction

    from animegen.media import Image

FORMATS = ("mp4", "webp", "gif", "mkv", "apng")


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
                No alpha.
    .webp       Animated, loops.
    .gif        Animated, loops; 256 colours chosen for the whole clip. Delays are hundredths of a second, each
                the nearest; above 50 frames per second every second (third, ...) frame is kept. Alpha is laid on
                white.
    .apng       Animated PNG, lossless, loops.
    .mkv        FFV1, lossless RGB (or RGBA) of any size.
    folder      (a path without suffix) 000000.png, 000001.png, ...; it does not keep `fps`.
    ==========  ================================================================================================

    Args:
        path: Where to; its suffix says the format.
        frames: (H, W, 3) uint8 RGB, or (H, W, 4) with straight alpha; all of one size.
        fps: Frames per second.
        format: One of `FORMATS` or ``folder``, to go against the suffix.
        quality: 1 .. 100, for MP4 (90 is CRF 16) and WebP (100 is lossless).
        comment: Kept in the comment tag of MP4, MKV and GIF.
        warn: Called with one sentence when frames or their alpha had to be left out.

    Raises:
        UsageError: There are no frames, `fps` or `quality` is out of range, the suffix is unknown, or MP4 was to hold
            alpha.
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
    stream: Iterator[Image] = chain([first], checked)
    alpha = first.shape[2] == 4
    if alpha and kind == "mp4":
        raise no_alpha()
    if alpha and kind == "gif":
        if warn:
            warn("GIF has no half transparent colours: the frames are laid on white.")
        stream = (lay_on(frame[..., :3], frame[..., 3], 255) for frame in stream)
    if kind == "folder":
        write_folder(path, stream)
        return
    with replacing(path) as beside:
        if kind == "gif":
            write_gif(beside, stream, fps, comment=comment, warn=warn)
            return
        codec = _codec(kind, quality, alpha=alpha)
        encode(beside, map(even_sized, stream) if kind == "mp4" else stream, fps, codec, comment)
        if alpha and kind == "webp":
            _name_alpha(beside)


def _checked(frames: Iterable[Image]) -> Iterator[Image]:
    shape = None
    for index, frame in enumerate(frames):
        if not (is_image(frame) or _has_alpha(frame)):
            raise StageError(f"frame {index} is {describe(frame)}, not (H, W, 3) uint8 RGB.")
        shape = shape or frame.shape
        if frame.shape != shape:
            if frame.shape[:2] == shape[:2]:
                raise StageError(f"frame {index} has {frame.shape[2]} channels, the frames before it {shape[2]}.")
            raise StageError(
                f"frame {index} is {frame.shape[1]}x{frame.shape[0]}, the frames before it are "
                f"{shape[1]}x{shape[0]}; a clip has one size."
            )
        yield np.ascontiguousarray(frame)


def _name_alpha(path: Path) -> None:
    """Say in the header of a WebP file that it has alpha.

    libwebp cuts away what is transparent around a frame, and forgets to say so where nothing else is.
    """
    with path.open("r+b") as file:
        head = file.read(21)
        if head[12:16] == b"VP8X":
            file.seek(20)
            file.write(bytes([head[20] | 0x10]))


def _has_alpha(frame: Image) -> bool:
    return isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] == 4 and is_image(frame[..., :3])


def _codec(kind: str, quality: int, *, alpha: bool) -> Codec:
    match kind:
        case "mkv":
            return replace(LOSSLESS, pixels="bgra") if alpha else LOSSLESS
        case "apng":
            return Codec(
                "apng",
                "apng",
                "rgba" if alpha else "rgb24",
                {"pred": "paeth", "compression_level": "1"},
                {"plays": "0"},
            )
        case "webp":
            options = {"lossless": "1"} if quality == 100 else {"quality": str(quality)}
            return Codec("webp", "libwebp_anim", "bgra", options, {"loop": "0"})
    return h264(quality)
