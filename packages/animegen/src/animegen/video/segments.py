"""Segments: short files of coded pictures with exact times, from which a whole video is joined.

A segment is NUT, whose clock is any rational number, so that no time is rounded. Matroska counts milliseconds; the
final .mkv has its times rounded to those (and names the rate, from which `VideoReader` finds the exact ones again
where it does not vary).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import av.error

from animegen.atomic import replacing
from animegen.errors import InputError, StageError, UsageError
from animegen.video.coding import CodecName, Coding, coding
from animegen.video.colour import to_rgb, to_rgba
from animegen.video.ffv1 import is_damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from animegen.media import Image
    from animegen.video.colour import Colour

# Times before 0 are those of a decoder that runs ahead; they are not moved, or all times would be.
_MUXING = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
_CODING = "coding"


@contextmanager
def segment(
    path: Path,
    size: tuple[int, int],
    fps: Fraction,
    codec: CodecName,
    colour: Colour | None = None,
    alpha: bool = False,
    *,
    tick: Fraction | None = None,
    aspect: Fraction = Fraction(1),
    quality: int = 90,
) -> Iterator[Callable[[Image, Fraction], None]]:
    """A function ``put(image, time)`` that adds one frame to the segment at `path`, a .nut file.

    The file is whole and on the disk after the block, or absent. It starts with a key frame, depends on no other
    segment, and equal frames give equal bytes.

    Args:
        path: Where to.
        size: Width and height.
        fps: Frames per second, on average where they vary.
        codec: ``h264`` or ``ffv1``; see `Coding`.
        colour: What H.264 codes RGB as and both name: `VideoReader.colour`. None is BT.709.
        alpha: Whether the images are (H, W, 4). FFV1 only.
        tick: The clock where times are not multiples of 1/`fps`; see `clock`. A time between ticks is rounded.
        aspect: Width of a pixel by its height.
        quality: 1 .. 100, of H.264.

    Raises:
        UsageError: Alpha in H.264, a value out of range, or nothing was put.
        StageError: An image is not of this size, or a time is not after the one before.
        MissingError: The encoder is not in this build of PyAV.
        ResourceError: The disk is full or read-only.
    """
    meant = coding(size, fps, codec, colour, alpha, tick=tick, aspect=aspect, quality=quality)
    with replacing(path) as beside:
        with av.open(f"file:{beside}", "w", format="nut", options=_MUXING) as output:
            output.metadata[_CODING] = meant.dumps()
            stream = meant.add_to(output)
            paint = meant.painter()
            last: int | None = None

            def put(image: Image, time: Fraction) -> None:
                nonlocal last
                stamp = round(time / meant.tick)
                if last is not None and stamp <= last:
                    raise StageError(f"a frame at {float(time):.6f} s is not after the one before it.")
                last = stamp
                picture = paint(image)
                picture.pts, picture.time_base = stamp, meant.tick
                output.mux(stream.encode(picture))

            yield put
            if last is None:
                raise UsageError(f"there are no frames to write to {path}.")
            output.mux(stream.encode(None))
        with beside.open("rb") as written:
            os.fsync(written.fileno())


def open_segment(path: Path) -> tuple[Any, Coding]:
    """The libav container of a segment and how it is coded; the caller closes it.

    Raises:
        InputError: It is absent, broken or not a segment.
    """
    try:
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file", "format_whitelist": "nut"})
    except av.error.FFmpegError as error:
        raise broken(path) from error
    try:
        return container, Coding.loads(container.metadata[_CODING])
    except (ValueError, KeyError, TypeError) as error:
        container.close()
        raise broken(path) from error


def broken(path: Path) -> InputError:
    """The error for a segment that cannot be used."""
    return InputError(f"{path} is absent, broken or no segment of a video.", hint="delete it, and it is made again")


def check(packet: Any, coding: Coding, path: Path) -> None:
    """Raise InputError for a coded picture that is other than it was written, where that can be told."""
    if coding.codec == "ffv1" and packet.size and is_damaged(bytes(packet)):
        raise broken(path)


def read_segments(paths: Iterable[Path]) -> Iterator[Image]:
    """The images of all segments in order, (H, W, 3) or (H, W, 4) uint8; those of FFV1 bit for bit as they were put."""
    for image, _ in read_timed_segments(paths):
        yield image


def read_timed_segments(paths: Iterable[Path]) -> Iterator[tuple[Image, Fraction]]:
    """As `read_segments`, with the time of each image."""
    for path in paths:
        container, meant = open_segment(path)
        with container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            width, height = meant.size
            try:
                for packet in container.demux(stream):
                    check(packet, meant, path)
                    for frame in packet.decode():
                        if frame.is_corrupt:
                            raise broken(path)
                        image = to_rgba(frame) if meant.alpha else to_rgb(frame)
                        yield image[:height, :width], frame.pts * Fraction(frame.time_base)
            except av.error.FFmpegError as error:
                raise broken(path) from error
