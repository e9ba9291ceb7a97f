"""Coded pictures of several segments as one stream, their times put in order for a container."""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av.error

from animegen.errors import InputError
from animegen.video.segments import broken, check, open_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from animegen.video.coding import Coding


class Pictures:
    """The packets of `segments` one after the other, and what they have in common.

    Args:
        segments: Files of `animegen.video.segments.segment`, in order; at least one.
        end: When the last frame ends, in seconds; None for as long as the one before it.

    Attributes:
        coding: How all of them are coded.
        header: What the encoder wrote for decoders (libav's extradata).

    Raises:
        InputError: A segment is absent or broken, not coded like the first, or not after the one before it.
    """

    def __init__(self, segments: Sequence[Path], end: Fraction | None) -> None:
        self._segments = segments
        container, self.coding = open_segment(segments[0])
        with container:
            context = container.streams.video[0].codec_context
            self.header = bytes(context.extradata or b"")
            self._delay = context.reorder_depth
        self._final, self._end = self._tail(end)

    def packets(self, lead: int, *, by_decoding: bool) -> Iterator[Any]:
        """Each packet with the times it has in the whole, `lead` ticks later, on the clock of `coding`.

        A picture is decoded no later than it is shown: the i-th packet is decoded when the (i - delay)-th picture
        is shown, which ascends over the borders of segments too, whatever their encoders thought of it.

        Args:
            lead: Ticks.
            by_decoding: Whether the container adds up the distances of decoding (MP4), so that the packet decoded
                last has to fill up the length of the whole, or takes the end of the picture shown last (Matroska).
        """
        shown: list[int] = []
        step = max(1, round(1 / self.coding.fps / self.coding.tick))
        first = begun = 0
        before: Any = None
        for count, packet in enumerate(self._all()):
            heapq.heappush(shown, packet.pts)
            early = self._delay - count
            if count == 0:
                first, begun = packet.pts, packet.pts - self._delay * step
            packet.dts = first - early * step if early > 0 else heapq.heappop(shown)
            packet.duration = self._end - packet.pts if packet.pts == self._final else step
            if before is not None:
                yield _later(before, lead)
            before = packet
        if by_decoding:
            before.duration = max(1, (self._end - first) - (before.dts - begun))
        yield _later(before, lead)

    def _all(self) -> Iterator[Any]:
        before: int | None = None
        for path in self._segments:
            most = before
            for packet in _read(path, self.coding):
                if before is not None and packet.pts <= before:
                    raise InputError(
                        f"{path} does not come after the segment before it.", hint="delete it, and it is made again"
                    )
                most = packet.pts if most is None else max(most, packet.pts)
                yield packet
            before = most

    def _tail(self, end: Fraction | None) -> tuple[int, int]:
        """The stamp of the last picture, and when it ends, in ticks."""
        stamps = sorted(packet.pts for packet in _read(self._segments[-1], self.coding))
        if not stamps:
            raise broken(self._segments[-1])
        step = stamps[-1] - stamps[-2] if len(stamps) > 1 else round(1 / self.coding.fps / self.coding.tick)
        wanted = stamps[-1] + step if end is None else round(end / self.coding.tick)
        return stamps[-1], max(stamps[-1] + 1, wanted)


def _later(packet: Any, lead: int) -> Any:
    packet.pts += lead
    packet.dts += lead
    return packet


def _read(path: Path, coding: Coding) -> Iterator[Any]:
    """The packets of one segment, their times on the clock of `coding`."""
    container, found = open_segment(path)
    with container:
        if found != coding:
            raise InputError(f"{path} is not coded like the first segment.", hint="delete it, and it is made again")
        try:
            for packet in container.demux(video=0):
                if packet.size:
                    check(packet, coding, path)
                    packet.pts = round(packet.pts * Fraction(packet.time_base) / coding.tick)
                    packet.dts = None
                    packet.time_base = coding.tick
                    yield packet
        except av.error.FFmpegError as error:
            raise broken(path) from error
