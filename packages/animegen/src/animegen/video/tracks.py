"""What a video file holds beside its pictures: sound, subtitles, covers, attached files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from av.stream import Disposition

Kind: TypeAlias = Literal["audio", "subtitle", "cover", "video", "attachment", "data"]


@dataclass(frozen=True)
class Track:
    """One track of a file that is not the one whose frames are read.

    Attributes:
        index: Its number in the file.
        kind: ``cover`` is a still picture of the whole file; ``video`` a further video.
        codec: As libav names it, e.g. ``aac`` or ``subrip``; empty where it does not know it.
        language: Three letters, or empty.
        title: Its title, or the name of an attached file; may be empty.
    """

    index: int
    kind: Kind
    codec: str
    language: str = ""
    title: str = ""

    def __str__(self) -> str:
        named = self.title or self.language
        return f"{self.kind} track {self.index} ({self.codec or 'unknown'}{f', {named}' if named else ''})"


def picture_stream(container: Any) -> Any:
    """The stream whose frames are the video, or None: the first that is not a cover."""
    return next((stream for stream in container.streams.video if not _is_cover(stream)), None)


def other_tracks(container: Any) -> tuple[Track, ...]:
    """All streams but the `picture_stream`, and but the one that MP4 keeps the titles of chapters in."""
    main = picture_stream(container)
    chapters = bool(container.chapters())
    return tuple(
        _track(stream)
        for stream in container.streams
        if (main is None or stream.index != main.index)
        and not (chapters and stream.type == "data" and stream.name == "bin_data")
    )


def _track(stream: Any) -> Track:
    kind = "cover" if stream.type == "video" and _is_cover(stream) else stream.type
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else getattr(stream, "name", "") or ""
    if kind == "attachment":
        codec = tags.get("mimetype", "")
    known = kind if kind in ("audio", "subtitle", "cover", "video", "attachment") else "data"
    language = tags.get("language", "")
    return Track(
        stream.index,
        cast("Kind", known),
        codec,
        "" if language == "und" else language,
        tags.get("filename", "") if kind == "attachment" else tags.get("title", tags.get("name", "")),
    )


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)
