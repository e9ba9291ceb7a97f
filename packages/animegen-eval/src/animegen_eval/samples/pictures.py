"""Pictures of one size, in order, that are read when they are asked for and know what they depend on.

A digest is known without reading a picture where that is possible: of files, from their bytes; of what is derived,
from its parents and how it is made. So a score that was computed before is found without decoding anything.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animegen.errors import InputError
from animegen.options import canonical_json
from animegen.pipeline.hashing import array_digest, code_digest, file_digest, text_digest
from animegen.video import FrameFolder, VideoReader

if TYPE_CHECKING:
    from animegen.media import Frames, Image


class Pictures(ABC):
    """Pictures of one size in order; iterate over them as often as you like.

    Attributes:
        digest: Hash of everything that decides the pictures.
        size: Width and height.
    """

    @property
    @abstractmethod
    def digest(self) -> str: ...

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]: ...

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Image]: ...

    def at(self, indices: Sequence[int]) -> Iterator[Image]:
        """The pictures at ascending `indices`, which may repeat."""
        wanted = iter(indices)
        index = next(wanted, None)
        for number, picture in enumerate(self):
            while index == number:
                yield picture
                index = next(wanted, None)
            if index is None:
                return
        if index is not None:
            raise InputError(f"there is no frame {index} of {len(self)}: the file ends before its own count.")

    def array(self) -> Frames:
        """All pictures, (T, H, W, 3) uint8 RGB."""
        return np.stack(list(self))

    @property
    def nbytes(self) -> int:
        """Bytes of all pictures in memory."""
        width, height = self.size
        return len(self) * width * height * 3


class ArrayPictures(Pictures):
    """Pictures in memory, (T, H, W, 3) uint8 RGB."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    @cached_property
    def digest(self) -> str:
        return array_digest(self._frames)

    @property
    def size(self) -> tuple[int, int]:
        return int(self._frames.shape[2]), int(self._frames.shape[1])

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._frames)

    def at(self, indices: Sequence[int]) -> Iterator[Image]:
        return (self._frames[index] for index in indices)

    def array(self) -> Frames:
        return self._frames


class FolderPictures(Pictures):
    """A folder of pictures. Raises InputError where it has none, or one of them is broken or of another size."""

    def __init__(self, path: Path, files: Sequence[Path] | None = None) -> None:
        self._folder = FrameFolder(path, files)

    @cached_property
    def digest(self) -> str:
        return text_digest("folder", decoders(), *map(file_digest, self._folder.files))

    @property
    def size(self) -> tuple[int, int]:
        return self._folder.size

    def __len__(self) -> int:
        return len(self._folder)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._folder)

    def at(self, indices: Sequence[int]) -> Iterator[Image]:
        return (self._folder[index] for index in indices)


class VideoPictures(Pictures):
    """The frames of a video file, decoded one after the other. Raises InputError where it is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with VideoReader(path) as video:
            self._size, self._count, self.fps = video.size, video.frames, video.fps

    @cached_property
    def digest(self) -> str:
        return text_digest("video", decoders(), file_digest(self._path))

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def __len__(self) -> int:
        if self._count is None:
            with VideoReader(self._path) as video:
                self._count = sum(1 for _ in video)
        return self._count

    def __iter__(self) -> Iterator[Image]:
        with VideoReader(self._path) as video:
            yield from video


class Picked(Pictures):
    """Some pictures of others.

    Args:
        base: The others.
        indices: Which, ascending; one may come several times.
    """

    def __init__(self, base: Pictures, indices: Sequence[int]) -> None:
        self._base, self._indices = base, tuple(indices)

    @property
    def digest(self) -> str:
        if self._indices == tuple(range(len(self._base))):
            return self._base.digest
        return text_digest("picked", self._base.digest, canonical_json(list(self._indices)))

    @property
    def size(self) -> tuple[int, int]:
        return self._base.size

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Image]:
        return self._base.at(self._indices)

    def at(self, indices: Sequence[int]) -> Iterator[Image]:
        return self._base.at([self._indices[index] for index in indices])


class Made(Pictures):
    """Pictures that are computed when they are asked for.

    Args:
        how: What decides them, as a JSON value, digests of parents among it.
        count: How many.
        size: Width and height.
        draw: Gives them.
    """

    def __init__(self, how: object, count: int, size: tuple[int, int], draw: Callable[[], Iterable[Image]]) -> None:
        self._how, self._count, self._size, self._draw = how, count, size, draw

    @cached_property
    def digest(self) -> str:
        return text_digest("made", canonical_json(self._how), str(self._count))

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Image]:
        return iter(self._draw())


class Memory:
    """Decoded clips, the last used ones, up to a number of bytes together; threads may share it.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[str, Frames] = OrderedDict()
        self._alone = threading.RLock()  # one clip may be made of another that is held

    def array(self, pictures: Pictures) -> Frames | None:
        """The pictures as one array, kept for later; None where they alone are more than the limit."""
        if pictures.nbytes > self.limit:
            return None
        with self._alone:
            return self._array(pictures)

    def _array(self, pictures: Pictures) -> Frames:
        key = pictures.digest
        if key not in self._held:
            frames = pictures.array()
            if frames.shape[0] != len(pictures):
                raise InputError(f"{frames.shape[0]} frames came where {len(pictures)} were announced.")
            while self._held and sum(held.nbytes for held in self._held.values()) + frames.nbytes > self.limit:
                self._held.popitem(last=False)
            self._held[key] = frames
        self._held.move_to_end(key)
        return self._held[key]


class Held(Pictures):
    """Pictures that stay decoded in a `Memory` for as long as there is room."""

    def __init__(self, base: Pictures, memory: Memory) -> None:
        self._base, self._memory = base, memory

    @property
    def digest(self) -> str:
        return self._base.digest

    @property
    def size(self) -> tuple[int, int]:
        return self._base.size

    def __len__(self) -> int:
        return len(self._base)

    def __iter__(self) -> Iterator[Image]:
        frames = self._memory.array(self._base)
        return iter(self._base) if frames is None else iter(frames)

    def at(self, indices: Sequence[int]) -> Iterator[Image]:
        frames = self._memory.array(self._base)
        return self._base.at(indices) if frames is None else (frames[index] for index in indices)

    def array(self) -> Frames:
        frames = self._memory.array(self._base)
        return self._base.array() if frames is None else frames


def windows(pictures: Iterable[Image], length: int) -> Iterator[Frames]:
    """Pieces of at most `length` (at least 2) pictures, each beginning with the last picture of the one before."""
    source = iter(pictures)
    piece = list(islice(source, length))
    while piece:
        yield np.stack(piece)
        more = list(islice(source, length - 1))
        piece = [piece[-1], *more] if more else []


@cache
def decoders() -> str:
    """What turns files into pixels, in one text: a changed decoder may change the last digits of a score."""
    from importlib import metadata

    names = ("opencv-python", "opencv-python-headless", "av", "pillow")
    found = [f"{name} {metadata.version(name)}" for name in names if _is_there(name)]
    return text_digest(code_digest("animegen"), *found)


def _is_there(name: str) -> bool:
    from importlib import metadata

    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
