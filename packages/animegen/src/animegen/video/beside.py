"""What stands beside the pictures in a source, copied into a new file packet by packet."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import av
import av.error
from av.stream import Discard

from animegen.errors import InputError
from animegen.video.containers import Container, how, left_out
from animegen.video.stream import open_file
from animegen.video.tracks import picture_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from animegen.video.read import VideoReader
    from animegen.video.tracks import Track

_EARLY = {"mp4": Fraction(1, 10), "mkv": Fraction(0)}
"""Seconds that sound may begin before the pictures: MP4 can say that its start (the encoder's own) is skipped."""

_WARM_UP = Fraction(1, 10)
"""Seconds of sound before the cut that a decoder may need to begin."""

_OF_FILE = {"encoder", "comment", "major_brand", "minor_version", "compatible_brands", "duration"}
_OF_TRACK = ("duration", "bps", "number_of_", "_statistics", "encoder", "filename", "mimetype", "alpha_mode")


class Beside:
    """The other tracks of a source, for one container.

    Args:
        reader: The source; a folder or an animated picture has no other tracks.
        container: Where they go.
        warn: Called with one sentence for each track that cannot be kept.
        wanted: Whether anything of the source is to be kept; else its pictures are alone.

    Attributes:
        lead: Seconds by which the pictures have to be shown later, since a track begins well before them.
    """

    def __init__(
        self, reader: VideoReader, container: Container, warn: Callable[[str], None], *, wanted: bool = True
    ) -> None:
        self._reader, self._target, self._warn = reader, container, warn
        self._wanted = wanted and reader.is_stream
        self._streams: dict[int, Any] = {}
        self._source: Any = None
        self.lead = Fraction(0)

    def __enter__(self) -> Self:
        if self._wanted:
            try:
                self._source = open_file(self._reader.path)
            except av.error.FFmpegError as error:
                raise self._broken(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.close()

    def add_to(self, output: Any, comment: str) -> None:
        """Give `output` a stream for each track that it can hold, and the tags and chapters."""
        if comment:
            output.metadata["comment"] = comment
        if self._source is None:
            return
        tags = {key: value for key, value in self._source.metadata.items() if key.lower() not in _OF_FILE}
        output.metadata.update(tags)
        if not comment and self._reader.comment:
            output.metadata["comment"] = self._reader.comment
        main = picture_stream(self._source)
        title = {key: value for key, value in main.metadata.items() if key.lower() in ("language", "title")}
        output.streams[0].metadata.update(title)
        output.streams[0].disposition = int(main.disposition)
        for track in self._reader.tracks:
            self._add(track, output)
        starts = [
            stream.start_time * Fraction(stream.time_base)
            for stream in (self._source.streams[index] for index in self._streams)
            if stream.start_time is not None and stream.type == "audio"
        ]
        early = self._reader.start - min(starts, default=self._reader.start)
        self.lead = early if early > _EARLY[self._target] else Fraction(0)
        chapters = [self._chapter(chapter) for chapter in self._source.chapters()]
        if chapters:
            output.set_chapters(chapters)

    def packets(self) -> Iterator[tuple[Fraction, Any]]:
        """All packets of those tracks in the order of the source, each with the time it has in the new file."""
        if self._source is None or not self._streams:
            return
        for stream in self._source.streams:
            if stream.index not in self._streams:
                with suppress(AttributeError):
                    stream.discard = Discard.all
        shift = self._reader.start - self.lead
        last: dict[int, int] = {}
        try:
            for packet in self._source.demux([self._source.streams[index] for index in self._streams]):
                if packet.dts is None and packet.pts is None:
                    if not packet.size or packet.stream.type != "video":
                        continue  # the end of a stream, or nothing to place it by
                    packet.pts = packet.dts = round(self._reader.start / Fraction(packet.time_base))  # a cover
                stream = self._streams[packet.stream_index]
                if self._track(packet.stream_index).codec == "mov_text":
                    text = _text(packet)
                    if not text:  # a gap, which MP4's writer makes by itself
                        continue
                    packet = packet if self._target == "mp4" else _plain(packet, text)
                index = stream.index
                base = Fraction(packet.time_base)
                dts = (packet.pts if packet.dts is None else packet.dts) - round(shift / base)
                pts = dts if packet.pts is None else packet.pts - round(shift / base)
                if stream.type == "subtitle" and pts < 0:  # one that is on when the pictures begin, or is over by then
                    packet.duration = pts + (packet.duration or 0)
                    if packet.duration <= 0:
                        continue
                    dts = pts = 0
                if packet.is_discard and self._target == "mkv" and dts * base < -_WARM_UP:
                    continue  # cut off by MP4's edit list, which Matroska has no like of
                if index in last:  # some containers refuse what others let pass
                    dts = max(dts, last[index] + (stream.type != "subtitle"))
                last[index] = dts
                packet.dts, packet.pts = dts, max(pts, dts)
                packet.stream = stream
                yield dts * base, packet
        except av.error.FFmpegError as error:
            raise self._broken(error) from error

    def _add(self, track: Track, output: Any) -> None:
        way = how(track, self._target)
        source = self._source.streams[track.index]
        if way == "file":
            name, kind, data = self._file(track, source)
            output.add_attachment(name, kind, data)
            return
        stream = None
        if way == "text":
            stream = output.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        elif way == "copy":
            with suppress(ValueError, av.error.FFmpegError):  # this container, or this build, does not know it
                stream = output.add_stream_from_template(source)
        if stream is None:
            self._warn(left_out(track))
            return
        stream.metadata.update({k: v for k, v in source.metadata.items() if not k.lower().startswith(_OF_TRACK)})
        if track.title:  # MP4 says "name" when it is read, and wants "title" when it is written
            stream.metadata["title"] = track.title
        stream.disposition = int(source.disposition)
        self._streams[track.index] = stream

    def _file(self, track: Track, source: Any) -> tuple[str, str, bytes]:
        """Name, kind and content of an attached file; a cover is read from its one packet."""
        if track.kind == "attachment":
            return track.title or f"attachment{track.index}", track.codec or "application/octet-stream", source.data
        suffix, kind = ("png", "image/png") if track.codec == "png" else ("jpg", "image/jpeg")
        with open_file(self._reader.path) as again:
            data = next((bytes(packet) for packet in again.demux(again.streams[track.index]) if packet.size), b"")
        return f"cover.{suffix}", kind, data

    def _track(self, index: int) -> Track:
        return next(track for track in self._reader.tracks if track.index == index)

    def _chapter(self, chapter: Any) -> Any:
        base = Fraction(chapter["time_base"])
        shift = round((self._reader.start - self.lead) / base)
        return chapter | {"start": max(0, chapter["start"] - shift), "end": max(0, chapter["end"] - shift)}

    def _broken(self, error: Exception) -> InputError:
        return InputError(f"{self._reader.path} cannot be read to its end: {getattr(error, 'strerror', error)}.")


def _text(packet: Any) -> bytes:
    """The words of MP4's own subtitles (3GPP TS 26.245: a length of two bytes, then UTF-8)."""
    data = bytes(packet)
    return data[2 : 2 + int.from_bytes(data[:2], "big")]


def _plain(packet: Any, text: bytes) -> Any:
    """`text` in place of what `packet` holds."""
    made = av.Packet(text)
    made.time_base, made.pts, made.dts, made.duration = packet.time_base, packet.pts, packet.dts, packet.duration
    made.is_keyframe = True
    return made
