"""Folders of numbered PNGs: the lossless form of a clip."""

from __future__ import annotations

import re
import secrets
import shutil
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

from animegen.errors import InputError, UsageError
from animegen.imageio import image_size, no_such_file, read_image, read_rgba, write_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from animegen.media import Image

_THREADS = 2  # PNG work runs outside the interpreter's lock
_AHEAD = 2 * _THREADS
_PNG = b"\x89PNG"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

T = TypeVar("T")
R = TypeVar("R")


class FrameFolder(Sequence["Image"]):
    """The pictures of a folder in natural order (2 before 10), each read when it is asked for.

    Indexing gives an image, (H, W, 3) uint8 RGB; a slice gives another FrameFolder. Iterating reads a few
    pictures ahead in threads.

    Args:
        path: The folder.
        files: Its pictures in order; found by suffix when absent. Hidden files are left out.

    Raises:
        InputError: The folder is absent or holds no picture; on reading, a picture is broken or differs in size.
    """

    def __init__(self, path: str | Path, files: Sequence[Path] | None = None) -> None:
        self.path = Path(path)
        if files is None:
            if not self.path.exists():
                raise no_such_file(self.path)
            if not self.path.is_dir():
                raise InputError(f"{self.path} is a file, not a folder of frames.")
            files = sorted(
                (
                    file
                    for file in self.path.iterdir()
                    if file.suffix.lower() in PICTURES and not file.name.startswith(".")
                ),
                key=lambda file: _natural(file.name),
            )
            if not files:
                raise InputError(
                    f"{self.path} holds no frames.", hint="a folder of frames holds 000000.png, 000001.png, ..."
                )
        self.files = tuple(files)
        self._size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first picture, which the others must have too."""
        if self._size is None:
            self._size = image_size(self.files[0])
        return self._size

    @cached_property
    def bits(self) -> int:
        """The most bits per channel that one of its PNGs has; other kinds of pictures have 8."""
        return max((head[24] for head in self._heads if head.startswith(_PNG)), default=8)

    @cached_property
    def alpha(self) -> bool:
        """Whether one of the pictures has alpha."""
        return any(_head_has_alpha(head) for head in self._heads)

    @cached_property
    def _heads(self) -> tuple[bytes, ...]:
        return tuple(_head(file) for file in self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"FrameFolder({str(self.path)!r}, {len(self)} frames)"

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> FrameFolder: ...
    def __getitem__(self, index: int | slice) -> Image | FrameFolder:
        if isinstance(index, slice):
            return FrameFolder(self.path, self.files[index])
        return self._read(self.files[index])

    def __iter__(self) -> Iterator[Image]:
        return in_threads(self._read, self.files)

    def pictures(self) -> Iterator[Image]:
        """As iterating, but (H, W, 4) with straight alpha where one of the pictures has alpha."""
        return in_threads(self._read_rgba, self.files) if self.alpha else iter(self)

    def _read(self, file: Path) -> Image:
        return self._checked(file, read_image(file))

    def _read_rgba(self, file: Path) -> Image:
        return self._checked(file, read_rgba(file))

    def _checked(self, file: Path, image: Image) -> Image:
        size = (image.shape[1], image.shape[0])
        if size != self.size:
            raise InputError(f"{file} is {size[0]}x{size[1]}; the frames before it are {self.size[0]}x{self.size[1]}.")
        return image


def write_folder(path: str | Path, frames: Iterable[Image]) -> int:
    """Write `frames` as 000000.png, 000001.png, ... into the folder `path`; it is whole or as it was.

    A folder that is there already is replaced when it holds nothing but frames.

    Returns:
        How many frames were written.

    Raises:
        UsageError: `path` is a file, or a folder with other things in it.
        ResourceError: The disk is full or read-only.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(not _is_frame(entry) for entry in path.iterdir())):
        what = "holds other files too" if path.is_dir() else "is a file"
        raise UsageError(f"{path} {what}; frames are not written over it.", hint="name a new folder")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")

    def write(numbered: tuple[int, Image]) -> None:
        write_image(beside / f"{numbered[0]:06d}.png", numbered[1])

    try:
        count = sum(1 for _ in in_threads(write, enumerate(frames)))
        if path.exists():
            shutil.rmtree(path)
        if count:
            beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return count


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``map`` over a few threads, in order, never more than a few items ahead (so that memory stays bounded)."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="animegen-frames") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(2048)
    except OSError:  # said when it is read
        return b""


def _head_has_alpha(head: bytes) -> bool:
    """Whether a PNG names a colour type with alpha or transparent colours before its pixels (or another kind does)."""
    if head.startswith(_PNG):
        return len(head) > 25 and (head[25] in (4, 6) or b"tRNS" in head.partition(b"IDAT")[0])
    if head[8:16] == b"WEBPVP8X":
        return bool(head[20] & 0x10)
    return head[8:16] == b"WEBPVP8L" and len(head) > 24 and bool(head[24] & 0x10)


def _is_frame(path: Path) -> bool:
    return re.fullmatch(r"\d{6,}\.png", path.name) is not None


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
