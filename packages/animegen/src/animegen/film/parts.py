"""The film in work: segments that are whole or absent, and a spool of drawn frames for those being made.

films/7f/3c21e0.lock   held by the process at work
films/7f/3c21e0.../
  000000.nut      a finished segment: always the same numbers of frames, whatever happened on the way
  000001.spool/   the frames drawn for a segment in work, raw; it goes when the segment is whole
  read.json       what was found in the source, once all of it has been read
"""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.atomic import write_bytes
from animegen.errors import UsageError
from animegen.resumable.folder import alone

if TYPE_CHECKING:
    from animegen.media import Image

Encoder = Callable[[Path], AbstractContextManager[Callable[["Image", Fraction], None]]]
"""``with encoder(path) as put: put(image, time)`` writes one segment, which is whole after the block or absent."""

SEGMENT_BYTES = 256 * 2**20
MOST, FEWEST = 64, 8
_HEADER = struct.Struct("<4s4I")  # mark, height, width, channels, CRC-32
_MARK = b"AGF1"
_READ = "read.json"


def segment_length(size: tuple[int, int], channels: int = 3) -> int:
    """Frames in a segment: as many as make `SEGMENT_BYTES` raw, within 8 .. 64; decided by the frame size alone."""
    return max(FEWEST, min(MOST, SEGMENT_BYTES // (size[0] * size[1] * channels)))


class Parts:
    """The folder of a film in work.

    Args:
        folder: The folder; made on first use.
        length: Frames in each segment but the last.
        suffix: Suffix of segment files.
    """

    def __init__(self, folder: Path, length: int, suffix: str) -> None:
        self.folder, self.length, self.suffix = folder, length, suffix

    @contextmanager
    def alone(self, *, fresh: bool = False) -> Iterator[None]:
        """Hold the film for this process.

        Args:
            fresh: Forget what is there.

        Raises:
            UsageError: Another process is at work on it.
            ResourceError: The folder cannot be written.
        """
        busy = UsageError(
            "another process is at work on this very film.", hint="wait for it; or write to another folder with --out"
        )
        with alone(self.folder, busy, lock=self.folder.with_name(self.folder.name + ".lock")):
            if fresh:
                self.clear()
                self.folder.mkdir(exist_ok=True)
            for left in self.folder.glob(".*.part*"):  # of a killed process
                left.unlink()
            yield

    def path(self, number: int) -> Path:
        """Where segment `number` is, or would be."""
        return self.folder / f"{number:06d}{self.suffix}"

    def done(self, number: int) -> bool:
        """Whether segment `number` is finished."""
        return self.path(number).is_file()

    def finished(self) -> int:
        """Frames in segments that are finished, as if each were whole."""
        return self.length * sum(1 for _ in self.folder.glob(f"[0-9]*{self.suffix}"))

    def frames(self, number: int, total: int) -> range:
        """The outputs of segment `number` of a film of `total` outputs."""
        return range(number * self.length, min((number + 1) * self.length, total))

    def count(self, total: int) -> int:
        """Segments of a film of `total` outputs."""
        return -(-total // self.length)

    @contextmanager
    def write(self, number: int, encoder: Encoder) -> Iterator[Callable[[Image, Fraction], None]]:
        """``put(image, time)`` for segment `number`, which is whole after the block and absent if it raises."""
        with encoder(self.path(number)) as put:
            yield put
        self.spool(number).remove()

    def spool(self, number: int) -> Spool:
        """The drawn frames of segment `number`."""
        return Spool(self.folder / f"{number:06d}.spool")

    def keep_facts(self, facts: Mapping[str, Any]) -> None:
        """Keep what was found in the source; from here on it need not be read again."""
        write_bytes(self.folder / _READ, json.dumps(facts).encode())

    def facts(self) -> dict[str, Any] | None:
        """What `keep_facts` kept, if every segment it speaks of is there."""
        try:
            facts: dict[str, Any] = json.loads((self.folder / _READ).read_text("utf-8"))
            return facts if all(map(self.done, range(self.count(facts["frames_out"])))) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def paths(self, total: int) -> list[Path]:
        """The segments of a film of `total` outputs."""
        return [self.path(number) for number in range(self.count(total))]

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Spool:
    """Raw frames by number, each whole or absent.

    Args:
        folder: Where they lie; made by the first one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> set[int]:
        """The frames that are here and whole."""
        if not self.folder.is_dir():
            return set()
        for left in self.folder.glob(".*"):
            left.unlink()
        found = (int(path.stem) for path in self.folder.glob("*.raw"))
        return {number for number in found if self.get(number) is not None}

    def put(self, number: int, image: Image) -> None:
        """Keep a frame; it is in the file system when this returns."""
        self.folder.mkdir(exist_ok=True)
        data = np.ascontiguousarray(image).data
        path = self._path(number)
        beside = path.with_name(f".{path.name}")
        with beside.open("wb") as file:
            file.write(_HEADER.pack(_MARK, *image.shape, zlib.crc32(data)))
            file.write(data)
        beside.replace(path)

    def get(self, number: int) -> Image | None:
        """A frame, (H, W, C) uint8; None where it is absent or a power cut has damaged it."""
        try:
            with self._path(number).open("rb") as file:
                mark, height, width, channels, checksum = _HEADER.unpack(file.read(_HEADER.size))
                pixels = np.fromfile(file, np.uint8)
        except (OSError, struct.error):
            return None
        if mark != _MARK or pixels.size != height * width * channels or zlib.crc32(pixels.data) != checksum:
            return None
        return pixels.reshape(height, width, channels)

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.raw"


def split(numbers: Sequence[int], length: int) -> Iterator[tuple[int, slice]]:
    """Ascending output numbers by segment: (segment, which of `numbers`)."""
    start = 0
    while start < len(numbers):
        segment = numbers[start] // length
        end = start
        while end < len(numbers) and numbers[end] // length == segment:
            end += 1
        yield segment, slice(start, end)
        start = end
