"""Files that are whole or absent: written beside their place, then renamed onto it."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, renamed onto `path` when the block ends well.

    Missing folders are made. When the block raises, the temporary file is removed and `path` is as it was.

    Raises:
        ResourceError: The disk is full, read-only, or the folder may not be written to.
    """
    path = Path(path)
    beside = path.with_name(f".{path.stem[:80]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except OSError as error:
        if error.errno is None:  # not the system's word: a library's own error, left to whoever called it
            raise
        raise ResourceError(
            f"{path} cannot be written: {os.strerror(error.errno)}.",
            hint="free some space, or name another place to write to",
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a whole file or nothing. Raises ResourceError as `replacing` does."""
    with replacing(path) as beside:
        beside.write_bytes(data)
