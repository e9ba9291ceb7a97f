"""Results under the hash of what made them: written beside their place, renamed, and marked done last.

An entry is a folder of numbered PNGs with a ``done.json``. While it is being made it is called ``KEY.part`` and
every image in it is whole (written aside and renamed), so that a killed run goes on from the last image.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from animegen.atomic import write_bytes
from animegen.errors import InputError, ResourceError
from animegen.imageio import read_image, read_mask, write_image, write_mask
from animegen.pipeline.hashing import array_digest, text_digest

if TYPE_CHECKING:
    from animegen.media import Image, Mask

SCHEMA = 1
_DONE = "done.json"
_WRITERS = 2  # PNG encoding runs outside the interpreter's lock: two threads halve it without crowding a stage
_QUEUED = 4  # images waiting to be written; bounds memory


class Entry(Protocol):
    """A finished result: images in order, and facts about them."""

    digest: str
    """Hash of all images; what depends on the result depends on this."""
    info: Mapping[str, Any]

    def __len__(self) -> int: ...
    def load(self, index: int) -> Image:
        """The index-th image, (H, W, 3) uint8 RGB."""
        ...

    def load_mask(self, index: int) -> Mask:
        """The index-th image where it is a mask, (H, W) bool."""
        ...

    def path(self, index: int) -> Path | None:
        """Its file, or None in memory."""
        ...


class Writer(Protocol):
    """A result being made."""

    def has(self, index: int) -> bool:
        """Whether an earlier, killed attempt already made this image."""
        ...

    def put(self, index: int, image: Image | Mask) -> None:
        """Add an image; returns before it is on disk."""
        ...

    def finish(self, info: Mapping[str, Any]) -> Entry:
        """Wait for all images and mark the result done."""
        ...


class Store(Protocol):
    """Where results lie."""

    def get(self, key: str) -> Entry | None:
        """The finished result of `key`, or None."""
        ...

    def damaged(self, key: str) -> bool:
        """Whether there was a finished result of `key` that can no longer be taken."""
        ...

    @contextmanager
    def write(self, key: str) -> Iterator[Writer]:
        """Make the result of `key`; a second process that wants the same one waits."""
        ...


class MemoryStore:
    """Results of one run kept in memory, for `animegen.run` without a folder."""

    def __init__(self) -> None:
        self._entries: dict[str, MemoryEntry] = {}

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def damaged(self, key: str) -> bool:
        return False

    @contextmanager
    def write(self, key: str) -> Iterator[Writer]:
        yield MemoryWriter(self._entries, key)


class MemoryEntry:
    def __init__(self, images: list[Image | Mask], info: Mapping[str, Any]) -> None:
        self._images = images
        self.info = info
        self.digest = text_digest(*map(array_digest, images))

    def __len__(self) -> int:
        return len(self._images)

    def load(self, index: int) -> Image:
        return cast("Image", self._images[index])

    def load_mask(self, index: int) -> Mask:
        return cast("Mask", self._images[index])

    def path(self, index: int) -> Path | None:
        return None


class MemoryWriter:
    def __init__(self, entries: dict[str, MemoryEntry], key: str) -> None:
        self._entries, self._key = entries, key
        self._images: dict[int, Image | Mask] = {}

    def has(self, index: int) -> bool:
        return index in self._images

    def put(self, index: int, image: Image | Mask) -> None:
        self._images[index] = image

    def finish(self, info: Mapping[str, Any]) -> Entry:
        entry = MemoryEntry([self._images[i] for i in sorted(self._images)], info)
        self._entries[self._key] = entry
        return entry


class DiskStore:
    """Results below one folder that the user named; shared by every run that writes there.

    Args:
        root: The folder; made on first use.
        fresh: Never take a finished result (``--force``); what is made replaces it.
    """

    def __init__(self, root: Path, *, fresh: bool = False) -> None:
        self.root = root
        self._fresh = fresh
        self._made: set[str] = set()

    def get(self, key: str) -> Entry | None:
        if self._fresh and key not in self._made:
            return None
        return DiskEntry.open(self._folder(key))

    def damaged(self, key: str) -> bool:
        return not self._fresh and (self._folder(key) / _DONE).exists() and self.get(key) is None

    @contextmanager
    def write(self, key: str) -> Iterator[Writer]:
        from filelock import FileLock

        folder = self._folder(key)
        part = folder.with_name(folder.name + ".part")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(folder.name + ".lock")):
                if self._fresh and key not in self._made:
                    shutil.rmtree(part, ignore_errors=True)
                writer = DiskWriter(part, folder)
                try:
                    yield writer
                finally:
                    writer.close()
            self._made.add(key)
        except OSError as error:
            raise disk_error(error, self.root) from error

    def _folder(self, key: str) -> Path:
        return self.root / key[:2] / key[2:]


class DiskEntry:
    """A finished folder."""

    def __init__(self, folder: Path, done: Mapping[str, Any]) -> None:
        self.folder = folder
        self.digest: str = done["digest"]
        self.info: Mapping[str, Any] = done["info"]
        self._files: list[str] = [file["name"] for file in done["files"]]

    @classmethod
    def open(cls, folder: Path) -> DiskEntry | None:
        """The entry in `folder`, or None when it is absent, unfinished or damaged."""
        try:
            done = json.loads((folder / _DONE).read_text("utf-8"))
            if done["schema"] != SCHEMA:
                return None
            whole = all((folder / file["name"]).stat().st_size == file["bytes"] for file in done["files"])
            return cls(folder, done) if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def __len__(self) -> int:
        return len(self._files)

    def load(self, index: int) -> Image:
        with self._whole():
            return read_image(self.folder / self._files[index])

    def load_mask(self, index: int) -> Mask:
        with self._whole():
            return read_mask(self.folder / self._files[index])

    def path(self, index: int) -> Path | None:
        return self.folder / self._files[index]

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What a bad sector did to a file of the right length shows when it is decoded: it is not taken again."""
        try:
            yield
        except InputError as error:
            (self.folder / _DONE).unlink(missing_ok=True)
            raise InputError(
                f"a kept result was damaged: {error.message}",
                hint="it is no longer taken: the same command makes it again",
            ) from error


class DiskWriter:
    """A folder being filled by a few threads."""

    def __init__(self, part: Path, folder: Path) -> None:
        self._part, self._folder = part, folder
        self._pool = ThreadPoolExecutor(_WRITERS, thread_name_prefix="animegen-png")
        self._room = threading.Semaphore(_QUEUED)
        self._pending: dict[int, Future[str]] = {}

    def has(self, index: int) -> bool:
        return index in self._pending or (self._part / _name(index)).is_file()

    def put(self, index: int, image: Image | Mask) -> None:
        self._part.mkdir(exist_ok=True)
        self._room.acquire()
        self._pending[index] = self._pool.submit(self._write, index, image)

    def _write(self, index: int, image: Image | Mask) -> str:
        try:
            path = self._part / _name(index)
            if image.dtype == np.bool_:
                write_mask(path, cast("Mask", image))
            else:
                write_image(path, cast("Image", image))
            return array_digest(image)
        finally:
            self._room.release()

    def finish(self, info: Mapping[str, Any]) -> Entry:
        digests = {index: future.result() for index, future in self._pending.items()}
        files = sorted(self._part.glob("[0-9]*.png"))
        for index, path in enumerate(files):
            if index not in digests:  # made by an attempt that was killed
                digests[index] = array_digest(_read(path))
        for left in self._part.glob(".*"):  # what a killed writer left beside
            left.unlink()
        done = {
            "schema": SCHEMA,
            "digest": text_digest(*(digests[index] for index in range(len(files)))),
            "files": [{"name": path.name, "bytes": path.stat().st_size} for path in files],
            "info": dict(info),
        }
        self._part.mkdir(exist_ok=True)  # a result may be facts alone
        write_bytes(self._part / _DONE, json.dumps(done, indent=1).encode())
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._part.rename(self._folder)
        return DiskEntry(self._folder, done)

    def close(self) -> None:
        self._pool.shutdown(wait=True)  # what is queued is finished work: Ctrl-C keeps it


def disk_error(error: OSError, place: Path) -> ResourceError:
    """A full or read-only disk in words. Anything else about a file keeps the system's own words."""
    hint = "name another folder with --out; what is finished is kept, and --resume goes on from it"
    return ResourceError(f"{place} cannot be written: {error.strerror or error}.", hint=hint)


def _name(index: int) -> str:
    return f"{index:06d}.png"


def _read(path: Path) -> Image | Mask:
    with path.open("rb") as file:
        grey = file.read(26)[25] == 0  # the colour type of a PNG's header: 0 grey (a mask), 2 RGB
    return read_mask(path) if grey else read_image(path)
