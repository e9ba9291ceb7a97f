"""Animated GIF: one palette for the whole clip."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import av
import av.error
import av.filter
import numpy as np

from animegen.video.encode import Codec, muxer, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction
    from pathlib import Path

    from animegen.media import Image

_MAX_RATE = 50  # viewers play delays below 2 hundredths of a second at 10 frames per second instead
_GIF = Codec("gif", "gif", "pal8", {}, {"loop": "0"})


def write_gif(
    path: Path,
    frames: Iterator[Image],
    fps: Fraction,
    *,
    comment: str = "",
    warn: Callable[[str], None] | None = None,
) -> None:
    """Write `frames` to `path` in two passes; they wait in a raw file beside it meanwhile.

    Args:
        path: The file.
        frames: At least one, all of one size.
        fps: Frames per second; above 50, every second (third, ...) frame is kept.
        comment: Written as a comment block.
        warn: Called with one sentence when frames are left out.
    """
    every = -(-fps // _MAX_RATE)
    if every > 1 and warn:
        warn(f"a GIF plays at most {_MAX_RATE} frames per second: one of {every} frames is kept.")
    rate = fps / every
    first = next(frames)
    size = (first.shape[1], first.shape[0])
    kept = (frame for index, frame in enumerate(chain([first], frames)) if index % every == 0)
    spool = path.with_suffix(".rgb")
    try:
        palette = _palette(kept, spool, size, rate)
        # Ordered dots stand still while a clip plays, and repeat, which GIF packs well; error diffusion crawls.
        painter = _Filter("paletteuse", "dither=bayer:bayer_scale=5:diff_mode=rectangle", size, rate, palette)
        with muxer(path, size, rate, _GIF) as put:
            for painted in painter.paint(_spooled(spool, first.shape)):
                put(painted)
    finally:
        spool.unlink(missing_ok=True)
    if comment:
        _add_comment(path, comment)


def _palette(frames: Iterator[Image], spool: Path, size: tuple[int, int], rate: Fraction) -> Any:
    """The 256 colours of all `frames`, which are written to `spool` on the way."""
    maker = _Filter("palettegen", "stats_mode=full", size, rate)
    with spool.open("wb") as file:
        for frame in frames:
            maker.put(frame)
            file.write(frame.tobytes())
    return maker.finish()[0]


def _spooled(spool: Path, shape: tuple[int, ...]) -> Iterator[Image]:
    with spool.open("rb") as file:
        while data := file.read(math.prod(shape)):
            yield np.frombuffer(data, np.uint8).reshape(shape)


class _Filter:
    """One libav filter fed with RGB frames, and with a palette where it takes one."""

    def __init__(self, name: str, arguments: str, size: tuple[int, int], rate: Fraction, palette: Any = None) -> None:
        self._graph = av.filter.Graph()
        self._base = 1 / rate
        self._count = 0
        self._source = self._buffer(size, "rgb24")
        step = self._graph.add(name, arguments)
        self._sink = self._graph.add("buffersink")
        self._source.link_to(step)
        colours = None
        if palette is not None:
            colours = self._buffer((palette.width, palette.height), palette.format.name)
            colours.link_to(step, 0, 1)
        step.link_to(self._sink)
        self._graph.configure()
        if colours is not None:
            palette.pts, palette.time_base = 0, self._base
            colours.push(palette)
            colours.push(None)

    def _buffer(self, size: tuple[int, int], pixels: str) -> Any:
        return self._graph.add_buffer(
            width=size[0], height=size[1], format=av.VideoFormat(pixels), time_base=self._base
        )

    def put(self, frame: Image) -> list[Any]:
        """Hand a frame in; gives the pictures that are ready."""
        rgb = picture(frame, "rgb24")
        rgb.pts, rgb.time_base = self._count, self._base
        self._count += 1
        self._source.push(rgb)
        return self._ready()

    def paint(self, frames: Iterator[Image]) -> Iterator[Any]:
        """All pictures that come of `frames`."""
        for frame in frames:
            yield from self.put(frame)
        yield from self.finish()

    def finish(self) -> list[Any]:
        """Say that no frame follows; gives the last pictures."""
        self._source.push(None)
        return self._ready()

    def _ready(self) -> list[Any]:
        pictures = []
        while True:
            try:
                pictures.append(self._sink.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return pictures


def _add_comment(path: Path, comment: str) -> None:
    """A comment extension (GIF89a, section 24) before the closing byte."""
    text = comment.encode()
    blocks = b"".join(bytes([len(part)]) + part for part in (text[i : i + 255] for i in range(0, len(text), 255)))
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x21\xfe" + blocks + b"\x00\x3b")
