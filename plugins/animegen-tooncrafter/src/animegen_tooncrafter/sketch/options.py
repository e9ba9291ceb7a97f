"""What a user says of sketches. Light: neither numpy nor torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from animegen import option

PATTERNS = ("bisection", "random")
KINDS = ("auto", "lines", "frames")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Pictures that a folder of sketches may hold."""


@dataclass(frozen=True)
class SketchOptions:
    """Options of `tooncrafter` that begin with ``sketch``; the stage's options inherit them."""

    sketch: str | None = option(
        None,
        "Drawings that the clip follows: a folder of pictures, a clip, or one picture (then of the middle). "
        "Numbers in names (04.png, 11.png) are frames, the first frame is 0.",
    )
    sketch_frames: tuple[int, ...] = option((), "Frames that the drawings belong to, e.g. 4,8,12.", min=0)
    sketch_count: int | None = option(
        None, "How many of the drawings are used, chosen by sketch_positions; none is all of them.", min=1
    )
    sketch_positions: str = option(
        "bisection",
        "Which drawings are used where fewer than all are: the middle, the quarters, ... or random ones by the seed.",
        choices=PATTERNS,
    )
    sketch_kind: str = option(
        "auto",
        "What the drawings are: lines (pencil or ink on paper, or white on black), frames whose lines are to be "
        "found, or auto to see for itself.",
        choices=KINDS,
    )
    sketch_scale: float = option(
        0.6, "How strongly drawings steer; 0 is not at all, more follows them more closely.", min=0, max=2
    )
    # Results are kept by the values of options; what lies in a folder is no value unless it is made one.
    sketch_digest: str = option(
        "", "Filled in by itself: SHA-256 of the drawings, so that a changed drawing makes a new clip."
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "sketch_digest", digest(Path(self.sketch).expanduser()) if self.sketch else "")


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, without hidden ones, in no particular order."""
    return [one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and not one.name.startswith(".")]


def digest(path: Path) -> str:
    """SHA-256 of a file, or of names and contents of a folder's pictures; empty where there is nothing to read."""
    try:
        if not path.is_dir():
            return _of_file(path, *_state(path))
        total = hashlib.sha256()
        for one in sorted(pictures_in(path)):
            total.update(f"{one.name}\0{_of_file(one, *_state(one))}\0".encode())
        return total.hexdigest()
    except OSError:
        return ""  # whoever reads it says what is wrong


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=256)
def _of_file(path: Path, modified: int, size: int) -> str:
    del modified, size  # a file that changed is another one
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
