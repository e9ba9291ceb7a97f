"""Folders that one process at a time works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animegen.errors import AnimeGenError
from animegen.pipeline.store import disk_error

LOCK = ".lock"


@contextmanager
def alone(folder: Path, busy: AnimeGenError, *, lock: Path | None = None) -> Iterator[None]:
    """As long as the block runs, no other process works on `folder`, which is made. A killed one leaves nothing behind.

    Args:
        folder: The folder.
        busy: Raised where another process is at work.
        lock: What is locked; a file in the folder otherwise.

    Raises:
        ResourceError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock or folder / LOCK)
        held.acquire(timeout=0)
    except Timeout:
        raise busy from None
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        yield
    finally:
        held.release()
