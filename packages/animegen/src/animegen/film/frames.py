"""The frames of a finished film, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from animegen.imageio import lay_on
from animegen.video.colour import to_rgb, to_rgba
from animegen.video.segments import open_segment

if TYPE_CHECKING:
    from pathlib import Path

    from animegen.media import Image


class StreamedFrames(Sequence["Image"]):
    """A sequence over something that can only be read from its start: going on is cheap, going back begins anew.

    Args:
        open: Begins to read, from the first frame.
        count: How many frames there are.
    """

    def __init__(self, open: Callable[[], Iterator[Image]], count: int) -> None:
        self._open, self._count = open, count
        self._reading: Iterator[Image] = iter(())
        self._next = count
        self._newest: Image | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Image]:
        return map(opaque, self._open())

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        index %= self._count
        if self._newest is not None and index == self._next - 1:
            return self._newest
        if index < self._next:
            self._reading, self._next = self._open(), 0
        self._newest = opaque(next(islice(self._reading, index - self._next, None)))
        self._next = index + 1
        return self._newest


class SegmentedFrames(Sequence["Image"]):
    """The frames of a film in segments: to read one, only its segment is opened, and only it is converted.

    Args:
        paths: The segments.
        length: Frames in each segment but the last.
        count: How many frames there are.
    """

    def __init__(self, paths: Sequence[Path], length: int, count: int) -> None:
        self._paths, self._length, self._count = paths, length, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        segment, place = divmod(index % self._count, self._length)
        container, coding = open_segment(self._paths[segment])
        with container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if coding.codec == "ffv1":  # each frame by itself
                packets = (packet for packet in container.demux(stream) if packet.size)
                frame = _decode(stream, next(islice(packets, place, None)))
            else:
                frame = next(islice(container.decode(stream), place, None))
            width, height = coding.size
            return opaque(to_rgba(frame) if coding.alpha else to_rgb(frame))[:height, :width]


def _decode(stream: Any, packet: Any) -> Any:
    return [*packet.decode(), *stream.decode(None)][0]


def opaque(image: Image) -> Image:
    """(H, W, 3) of an image: what is transparent lies on white."""
    return image if image.shape[2] == 3 else lay_on(image[..., :3].copy(), image[..., 3], 255)
