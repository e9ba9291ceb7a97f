"""Which tracks of a source fit into which container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from animegen.errors import UsageError, did_you_mean
from animegen.video.coding import no_alpha

if TYPE_CHECKING:
    from animegen.video.read import VideoReader
    from animegen.video.tracks import Track

Container: TypeAlias = Literal["mp4", "mkv"]
How: TypeAlias = Literal["copy", "text", "file", "leave"]
"""``text`` makes plain subtitles of MP4's own, ``file`` an attached file of a cover."""

_IN_MP4 = {
    "audio": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    "subtitle": {"mov_text"},
    "cover": {"png", "mjpeg"},
}
_NOT_IN_MKV = {"eia_608", "dvb_teletext"}
_SUFFIXES = {"mp4": ".mp4", "mkv": ".mkv", "webp": ".webp", "gif": ".gif", "apng": ".apng", "frames": ""}


def container_for(format: str, reader: VideoReader, *, tracks: bool = True) -> tuple[str, tuple[str, ...]]:
    """The suffix of the file that `format` gives of the video in `reader`, and what is to be said about it.

    Args:
        format: ``mp4`` (H.264; it goes to .mkv where MP4 cannot hold a track of the source), ``mkv`` (lossless),
            ``webp``, ``gif``, ``apng``, or ``frames`` for a folder (an empty suffix).
        reader: The source.
        tracks: Whether its other tracks are to be kept.

    Raises:
        UsageError: The format is unknown, or cannot hold the alpha of the source.
    """
    if format not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise UsageError(
            f"there is no format {format!r}.", hint=f"{did_you_mean(format, _SUFFIXES)}it is one of {known}"
        )
    beside = reader.tracks if tracks else ()
    if format == "mp4":
        if reader.alpha:
            raise no_alpha()
        unfit = [track for track in beside if how(track, "mp4") == "leave" and how(track, "mkv") != "leave"]
        lost = tuple(left_out(track) for track in beside if how(track, "mkv") == "leave")
        if not unfit:
            return ".mp4", lost
        return ".mkv", (f"MP4 cannot hold {_list(unfit)}, so that the video goes to an MKV file.", *lost)
    if format == "mkv":
        return ".mkv", tuple(left_out(track) for track in beside if how(track, "mkv") == "leave")
    notes = ["GIF has no half transparent colours: the frames are laid on white."] if _flat(format, reader) else []
    if beside:
        kind = "a folder of frames" if format == "frames" else format.upper()
        notes.append(f"{kind} cannot hold {_list(beside)}.")
    return _SUFFIXES[format], tuple(notes)


def how(track: Track, container: Container) -> How:
    """What becomes of a track in a container."""
    if track.kind in ("data", "video"):
        return "leave"
    if container == "mp4":
        return "copy" if track.codec in _IN_MP4.get(track.kind, ()) else "leave"
    if track.kind in ("cover", "attachment"):
        return "file"
    if track.codec == "mov_text":
        return "text"
    return "leave" if track.codec in _NOT_IN_MKV or not track.codec else "copy"


def left_out(track: Track) -> str:
    """The sentence for a track that is not in the new file."""
    return f"{track} is left out."


def _flat(format: str, reader: VideoReader) -> bool:
    return format == "gif" and reader.alpha


def _list(tracks: list[Track] | tuple[Track, ...]) -> str:
    return ", ".join(map(str, tracks))
