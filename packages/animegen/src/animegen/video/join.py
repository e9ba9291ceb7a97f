"""Segments into one video, with everything else that its source holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import av

from animegen.atomic import replacing
from animegen.errors import InputError, StageError, UsageError
from animegen.video.beside import Beside
from animegen.video.packets import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction
    from pathlib import Path

    from animegen.video.containers import Container
    from animegen.video.read import VideoReader

_OPTIONS = {
    "mp4": {"movflags": "+faststart", "fflags": "+bitexact"},
    "mkv": {"fflags": "+bitexact"},
}
# Microseconds that libav holds packets back for, in wait of a track that has none; they come in order from here.
_LONG_FILM = 600_000  # ticks a second of which two hours go into 32 bits
_HOLD = {"max_interleave_delta": "200000"}


def join(
    path: Path,
    segments: Sequence[Path],
    reader: VideoReader,
    *,
    container: Container,
    tracks: bool = True,
    comment: str = "",
    end: Fraction | None = None,
    even: bool | None = None,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Put `segments` together in the file at `path`, which is whole or absent; nothing is coded again.

    Sound, subtitles, covers, chapters, tags and attached files are copied from the source of `reader`, as they are
    and at the same distance from the pictures as there. Both are read once, side by side; a packet is gone from
    memory when it is written.

    MP4 has the exact times. Matroska has whole milliseconds, the finest that libav writes.

    Args:
        path: Where to.
        segments: Files of `segment`, in order.
        reader: Their source, which a folder or an animated picture may be too.
        container: ``mp4`` or ``mkv``; `container_for` says which suits.
        tracks: Whether sound, subtitles, covers, chapters, tags and attached files are copied.
        comment: The comment tag, in place of the source's.
        end: When the last frame ends, in seconds from the first; None for as long as the one before it.
        even: Whether the rate is the same all through, so that Matroska may name it; None where that is said by
            the segments' clock alone.
        warn: Called with one sentence for each thing that could not be kept.

    Raises:
        UsageError: There are no segments.
        InputError: A segment or the source is absent or broken.
        ResourceError: The disk is full or read-only.
    """
    if not segments:
        raise UsageError(f"there are no segments to make {path} of.")
    pictures = Pictures(segments, end)
    coding = pictures.coding
    said = warn or (lambda _: None)
    if container == "mkv" and coding.codec == "ffv1" and coding.aspect != 1:
        shape = f"{coding.aspect.numerator}:{coding.aspect.denominator}"
        said(f"the pixels of {path} are {shape}, which PyAV cannot write for FFV1; players show it unstretched.")
    options = _OPTIONS[container] | _HOLD
    if container == "mp4":  # lengths are counted by it, which are milliseconds without it
        ticks = coding.tick.denominator
        options["movie_timescale"] = str(ticks if ticks <= _LONG_FILM else 90_000)
    with replacing(path) as beside:
        with (
            Beside(reader, container, said, wanted=tracks) as others,
            av.open(
                f"file:{beside}", "w", format="matroska" if container == "mkv" else "mp4", options=options
            ) as output,
        ):
            stream = coding.add_to(output, even=coding.tick == 1 / coding.fps if even is None else even)
            others.add_to(output, comment)
            output.start_encoding()
            if bytes(stream.codec_context.extradata or b"") != pictures.header:
                raise InputError(
                    f"{segments[0]} was coded by another version of {coding.codec}.", hint="delete the segments"
                )
            waiting = others.packets()
            lead = round(others.lead / coding.tick)
            other = next(waiting, None)
            for packet in pictures.packets(lead, by_decoding=container == "mp4"):
                if packet.dts > packet.pts:
                    raise StageError(f"the encoder of {coding.codec} reorders more pictures than it says.")
                packet.stream = stream
                time = packet.dts * coding.tick
                while other is not None and other[0] <= time:
                    output.mux_one(other[1])
                    other = next(waiting, None)
                output.mux_one(packet)
            while other is not None:
                output.mux_one(other[1])
                other = next(waiting, None)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
