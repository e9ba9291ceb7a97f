"""Names of files: which are images, which are to be passed over, and the order people expect them in."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
ARCHIVE_SUFFIXES = frozenset({".cbz", ".zip", ".cbr", ".rar", ".cb7", ".7z"})

_UNSAFE = re.compile(r'[\x00-\x1f<>:"\\|?*\x7f]')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which ``page 2`` comes before ``page 10``; equal numbers fall back to the text."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def is_page_name(name: str) -> bool:
    """Whether a path inside a folder or archive is a page: an image, not hidden, no resource fork."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts if part not in {".", ".."})
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES


def safe_name(name: str, *, taken: Container[str] = ()) -> str:
    """A name as a relative path that every file system takes: spaces and letters of any script stay.

    Args:
        name: Parts separated by ``/``.
        taken: Names in use; a number is added to one of these.
    """
    parts = [_UNSAFE.sub("_", part).strip(" .") or "_" for part in name.split("/") if part]
    parts = [f"{part}_" if part.split(".")[0].upper() in _RESERVED else part[:120] for part in parts] or ["_"]
    plain = "/".join(parts)
    candidate, number = plain, 2
    while candidate in taken:
        candidate, number = f"{plain}-{number}", number + 1
    return candidate
