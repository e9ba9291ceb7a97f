"""Names of files: which are images, which are to be passed over, and the order people expect them in."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
ARCHIVE_SUFFIXES = frozenset({".cbz", ".zip", ".cbr", ".rar", ".cb7", ".7z"})


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which ``page 2`` comes before ``page 10``; equal numbers fall back to the text."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def is_page_name(name: str) -> bool:
    """Whether a path inside a folder or archive is a page: an image, not hidden, no resource fork."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts if part not in {".", ".."})
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES
