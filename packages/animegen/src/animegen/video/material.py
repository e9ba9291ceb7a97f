"""Videos that somebody has in a folder, and by what each is known again without reading all of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from animegen.errors import InputError
from animegen.video.folder import PICTURES

_SAMPLED = 1 << 20  # bytes at both ends of a file


def find_videos(place: Path, suffixes: Collection[str]) -> Iterator[Path]:
    """Files with these suffixes and folders of pictures, here and in all folders below, in the order of their names.

    Of what begins with a dot nothing is taken. A `place` that is no folder is taken as it is.
    """
    if not place.is_dir():
        yield place
        return
    pictures = False
    for entry in sorted(place.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from find_videos(entry, suffixes)
        elif entry.suffix.lower() in suffixes:
            yield entry
        elif entry.suffix.lower() in PICTURES:
            pictures = True
    if pictures:
        yield place


def video_digest(path: Path) -> str:
    """SHA-256 of a file's size and both its ends, or of the names and sizes of a folder's pictures.

    Raises:
        InputError: It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            for entry in sorted(path.iterdir()):
                if entry.suffix.lower() in PICTURES:
                    digest.update(f"{entry.name}:{entry.stat().st_size}\n".encode())
            return digest.hexdigest()
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLED))
            file.seek(max(0, size - _SAMPLED))
            digest.update(file.read(_SAMPLED))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from error
    return digest.hexdigest()
