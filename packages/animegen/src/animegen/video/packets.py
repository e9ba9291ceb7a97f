"""Coded pictures of several segments as one stream, their times put in order for a container."""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av.error

from animegen.errors import InputError
from animegen.video.segments import broken, open_segment

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
        self._final, self._ending = self._tail(end)

    def packets(self, lead: int) -> Iterator[Any]:
        """Each packet with the times it has in the whole, `lead` ticks later, on the clock of `coding`.

        A picture is decoded no later than it is shown: the i-th packet is decoded when the (i - delay)-th picture
        is shown, which ascends over the borders of segments too, whatever their encoders thought of it.
        """
        shown: list[int] = []
        step = max(1, round(1 / self.coding.fps / self.coding.tick))
        first: int | None = None
        for count, packet in enumerate(self._all()):
            first = packet.pts if first is None else first
            heapq.heappush(shown, packet.pts)
            early = self._delay - count
            packet.dts = first - early * step if early > 0 else heapq.heappop(shown)
            packet.duration = self._ending if packet.pts == self._final else step
            packet.pts += lead
            packet.dts += lead
            yield packet

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
        """The stamp of the last picture, and how long it is shown, in ticks."""
        stamps = sorted(packet.pts for packet in _read(self._segments[-1], self.coding))
        if not stamps:
            raise broken(self._segments[-1])
        if end is not None:
            return stamps[-1], max(1, round(end / self.coding.tick) - stamps[-1])
        if len(stamps) > 1:
            return stamps[-1], stamps[-1] - stamps[-2]
        return stamps[-1], max(1, round(1 / self.coding.fps / self.coding.tick))


def _read(path: Path, coding: Coding) -> Iterator[Any]:
    """The packets of one segment, their times on the clock of `coding`."""
    container, found = open_segment(path)
    with container:
        if found != coding:
            raise InputError(f"{path} is not coded like the first segment.", hint="delete it, and it is made again")
        try:
            for packet in container.demux(video=0):
                if packet.size:
                    packet.pts = round(packet.pts * Fraction(packet.time_base) / coding.tick)
                    packet.dts = None
                    packet.time_base = coding.tick
                    yield packet
        except av.error.FFmpegError as error:
            raise broken(path) from error
