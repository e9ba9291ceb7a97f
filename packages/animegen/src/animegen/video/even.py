"""A video at an even rate, read in stretches: what ``ffmpeg -r`` makes of it, without making it.

Slot k, at k / fps seconds, shows the last frame of the source whose time, rounded to the nearest slot (halves up), is
not after it. So frames of a faster source are left out, those of a slower one are repeated.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.atomic import write_bytes
from animegen.errors import ResourceError
from animegen.video.read import VideoReader
from animegen.video.seek import frames_from, last_time
from animegen.video.timed import StreamFrame

if TYPE_CHECKING:
    from animegen.upsampling.frames import SourceFrame
    from animegen.video.stream import Facts


@dataclass(frozen=True)
class EvenVideo:
    """A video at an even rate. Made by `look`.

    Attributes:
        path: The file, or a folder of pictures.
        fps: Slots per second.
        source_fps: Frames per second of the source (the average where they vary).
        size: Width and height.
        slots: How many there are; None where that is only known once it has been read to its end.
        seekable: Whether a stretch in the middle can be read without what comes before it.
    """

    path: Path
    fps: Fraction
    source_fps: Fraction
    size: tuple[int, int]
    slots: int | None
    seekable: bool

    @classmethod
    def look(
        cls,
        path: Path,
        fps: Fraction | None = None,
        *,
        folder_fps: Fraction = Fraction(24),
        index: Path | None = None,
    ) -> EvenVideo:
        """Look at a video without decoding more than its first frame. A file is read through, for its time stamps.

        Args:
            path: The file or folder.
            fps: The rate; None for that of the source.
            folder_fps: Frames per second of a folder of pictures, which does not say its own.
            index: A folder that keeps what was found in files, so that they are read through but once.

        Raises:
            InputError: It is absent, no video, or broken.
        """
        with VideoReader(path, fps=folder_fps, eight_bit=True, warn=lambda text: None) as video:
            rate = fps or video.fps
            last = _indexed(path, video.facts, index) if video.facts is not None else None
            if last is not None:
                return cls(path, rate, video.fps, video.size, _slot(last, rate) + 1, seekable=True)
            slots = None if video.frames is None else _slot((video.frames - 1) / video.fps, rate) + 1
            return cls(path, rate, video.fps, video.size, slots if video.facts is None else None, seekable=False)

    def stretch(self, first: int = 0, stop: int | None = None) -> Iterator[tuple[int, SourceFrame]]:
        """Slots with what they show; of a source that is not `seekable` they are read from its beginning all the same.

        Args:
            first: Number of the first slot.
            stop: The first one that is left out; None reads to the end.

        Raises:
            InputError: Something in it is broken.
        """
        held: SourceFrame | None = None
        at = first
        with VideoReader(self.path, fps=self.source_fps, eight_bit=True, warn=lambda text: None) as video:
            for frame in self._frames(video, first):
                slot = _slot(frame.time, self.fps)
                while held is not None and at < slot and (stop is None or at < stop):
                    yield at, held
                    at += 1
                if stop is not None and at >= stop:
                    return
                held = frame
            if held is not None and (stop is None or at < stop) and _slot(held.time, self.fps) >= first:
                yield at, held

    def _frames(self, video: VideoReader, first: int) -> Iterator[SourceFrame]:
        """Frames from the one that slot `first` shows on, or from an earlier one."""
        if not self.seekable or video.facts is None:
            yield from video.timed()
            return
        facts = video.facts
        time = max(Fraction(0), (first - Fraction(1, 2)) / self.fps)
        for index, (seconds, frame) in enumerate(frames_from(self.path, facts, time, video.unreadable)):
            yield StreamFrame(index, seconds, None, frame, alpha=False)


def _indexed(path: Path, facts: Facts, index: Path | None) -> Fraction | None:
    """`last_time`, from the index where it was found before."""
    if index is None:
        return last_time(path, facts)
    state = path.stat()
    key = hashlib.sha256(f"1 {path.absolute()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()
    kept = index / f"{key[:32]}.json"
    if kept.is_file():
        try:
            found = json.loads(kept.read_text("utf-8"))["last"]
            return None if found is None else Fraction(found)
        except (OSError, ValueError, KeyError, TypeError):
            pass
    last = last_time(path, facts)
    with suppress(ResourceError):  # it is looked for another time, then
        write_bytes(kept, json.dumps({"last": None if last is None else str(last)}).encode())
    return last


def _slot(time: Fraction, fps: Fraction) -> int:
    return math.floor(time * fps + Fraction(1, 2))
