"""Files that libav reads: what they hold, and their frames one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import av.error

from animegen.imageio import what_it_is
from animegen.video.colour import Colour, bits_of, colour_of, has_alpha, unknown_matrix
from animegen.video.ffv1 import is_damaged
from animegen.video.lengths import counts_frames, named_end, track_end
from animegen.video.stamps import meant_rate
from animegen.video.tracks import Track, other_tracks, picture_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from animegen.errors import InputError

# Not playlists and the like, which make libav open other files and addresses.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpeg,mpegts,mpegvideo,h264,hevc,ogg,asf,ivf,nut"
_OPTIONS = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # libav's own leave the alpha out


@dataclass(frozen=True)
class Facts:
    """What is known of a file before it is read.

    Attributes:
        size: Width and height, upright.
        frames: As the file says, or None.
        rate: Frames per second as the file means (the average where they vary).
        comment: Its comment tag.
        alpha: Whether its pictures have alpha.
        bits: Bits per channel.
        colour: None for RGB.
        matrix: The number of a colour matrix that is not known here, else None.
        tracks: What it holds beside the pictures.
        start: Time of the first frame on the file's own clock, in seconds.
        tick: The clock of the stream, in seconds.
        end: Where the last frame ends on the file's own clock, in seconds, or None.
        aspect: Width of a pixel by its height, upright.
    """

    size: tuple[int, int]
    frames: int | None
    rate: Fraction
    comment: str
    alpha: bool
    bits: int
    colour: Colour | None
    matrix: int | None
    tracks: tuple[Track, ...]
    start: Fraction
    tick: Fraction
    end: Fraction | None
    aspect: Fraction


def open_file(path: Path) -> Any:
    """The libav container at `path`, its pictures decoded by several threads."""
    # "file:" keeps a colon in a name from being read as a protocol.
    container = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    stream = picture_stream(container)
    if stream is not None:
        stream.thread_type = "AUTO"
    return container


def probe(path: Path, head: bytes, refuse: Callable[[str], InputError]) -> Facts:
    """What `path` holds, `head` being its first bytes; `refuse` makes the error for a reason."""
    if path.stat().st_size < named_end(head):
        raise refuse("truncated")
    try:
        with open_file(path) as container:
            stream = picture_stream(container)
            if stream is None:
                cover = " and a cover" if container.streams.video else ""
                raise refuse(f"it has no picture, only sound or text{cover}")
            if stream.codec_context is None:
                raise refuse("how its pictures are coded is not known here")
            first, start = _first(container, stream)
            if first is None:
                raise refuse("it has no frames")
            rate = stream.average_rate or stream.guessed_rate or stream.base_rate
            if not rate:
                raise refuse("it does not say how many frames there are per second")
            tags = {key.lower(): value for key, value in container.metadata.items()}
            upright = round(getattr(first, "rotation", 0) / 90) % 2 == 0
            aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
            return Facts(
                (first.width, first.height) if upright else (first.height, first.width),
                (stream.frames or None) if counts_frames(head) else None,
                meant_rate(Fraction(rate), Fraction(stream.base_rate or 0), Fraction(stream.time_base)),
                tags.get("comment", ""),
                has_alpha(first.format),
                bits_of(first.format),
                colour_of(first),
                unknown_matrix(first),
                other_tracks(container),
                start,
                Fraction(stream.time_base),
                _end(stream),
                aspect if upright else 1 / aspect,
            )
    except av.error.FFmpegError as error:
        what = what_it_is(head)
        known = what.startswith(("a ", "it ")) and what != "a video"
        raise refuse(what if known else f"broken, or of another kind: {error.strerror}") from error


def decoded(
    path: Path, facts: Facts, refuse: Callable[[str], InputError], *, alpha: bool
) -> Generator[Any, None, None]:
    """The frames of `path` as libav gives them; `alpha` asks for theirs where another decoder is needed for it."""
    count = packets = 0
    try:
        with open_file(path) as container:
            stream = picture_stream(container)
            decode = _decoder(stream) if alpha else _plain
            checked = has_checksums(stream)
            for packet in container.demux(stream):
                last = not packet.size and packet.dts is None
                packets += not last
                if not packet.size and not last:  # a frame left out; the one before stands on
                    continue
                if checked and not last and is_damaged(bytes(packet)):
                    raise refuse(f"frame {packets - 1} is broken")
                for frame in decode(packet):
                    if frame.is_corrupt:
                        raise refuse(f"frame {count} is broken")
                    upright = round(getattr(frame, "rotation", 0) / 90) % 2 == 0
                    if ((frame.width, frame.height) if upright else (frame.height, frame.width)) != facts.size:
                        raise refuse(f"frame {count} is of another size than those before it")
                    yield frame
                    count += 1
    except av.error.FFmpegError as error:
        raise refuse(f"frame {count} is broken: {error.strerror}") from error
    if facts.frames is not None and packets < facts.frames:
        raise refuse(f"it ends after {packets} of {facts.frames} frames")


def has_checksums(stream: Any) -> bool:
    """Whether `is_damaged` can be asked of its packets: FFV1 from version 2 on keeps its settings in the header."""
    context = stream.codec_context
    return bool(context.codec.canonical_name == "ffv1" and context.extradata)


def _first(container: Any, stream: Any) -> tuple[Any, Fraction]:
    """The first frame, or None, and its time on the file's clock."""
    decode = _decoder(stream)
    for packet in container.demux(stream):
        for frame in decode(packet):
            stamp = frame.pts if frame.pts is not None else frame.dts
            return frame, (stamp or 0) * Fraction(stream.time_base)
    return None, Fraction(0)


def _end(stream: Any) -> Fraction | None:
    """Where the stream ends on the file's own clock, in seconds, as the file says."""
    if stream.duration is not None:
        return Fraction((stream.start_time or 0) + stream.duration) * Fraction(stream.time_base)
    return track_end(_tags(stream).get("duration", ""))


def _decoder(stream: Any) -> Callable[[Any], Any]:
    """What gives the frames of a packet with their alpha."""
    name = _ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name)
    if name is None or _tags(stream).get("alpha_mode") != "1" or name not in av.codecs_available:
        return _plain
    context: Any = av.CodecContext.create(name, "r")
    context.thread_type = "AUTO"
    return lambda packet: context.decode(packet if packet.size else None)


def _plain(packet: Any) -> Any:
    return packet.decode()


def _tags(stream: Any) -> dict[str, str]:
    return {key.lower(): value for key, value in stream.metadata.items()}
