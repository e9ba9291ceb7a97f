"""Drawings from a folder, a clip or a picture: what is there, and which of them belongs to which frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import InputError
from animegen.imageio import image_size, no_such_file, open_header, read_image
from animegen.video import VideoReader
from animegen_tooncrafter.sketch import positions
from animegen_tooncrafter.sketch.options import SUFFIXES, pictures_in

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen_tooncrafter.sketch.options import SketchOptions

ROLE = "option sketch of tooncrafter"
_READABLE = "it takes a folder of pictures, a clip (MP4, MKV, WebM, GIF, APNG), or one picture"
_FPS = Fraction(8)  # of a folder, which does not matter here


@dataclass(frozen=True)
class Source:
    """Drawings that were looked at, not read.

    Attributes:
        path: What was named.
        count: How many drawings there are.
        files: They, where they are pictures, in natural order of their names; empty for a clip.
        numbers: The frames that their names say, where they do.
    """

    path: Path
    count: int
    files: tuple[Path, ...] = ()
    numbers: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.count} drawing{'s' * (self.count != 1)} of {self.path.name}"


def look(path: str | Path) -> Source:
    """See what `path` holds.

    Raises:
        InputError: It is absent, holds no drawings, or is neither a folder, a clip nor a picture.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise no_such_file(path, ROLE)
    if path.is_dir():
        return _folder(path)
    if _frames_of_picture(path) == 1:
        image_size(path, role=ROLE)
        return Source(path, 1, (path,))
    with VideoReader(path, role=ROLE) as video:
        count = video.frames or sum(1 for _ in video)
    return Source(path, count)


def assign(source: Source, options: SketchOptions, frames: int, seed: int = 0) -> dict[int, int]:
    """Which drawing steers which frame: frame -> index of the drawing, ascending.

    Frames listed by the user take the drawings in turn, or, where names say frames or there are more drawings than
    were listed, each its own. Without a list, names say the frame; a clip of as many or more frames is laid over the
    whole clip; fewer drawings are spread evenly between the keyframes. ``sketch_count`` then takes some of them.

    Args:
        source: From `look`.
        options: What the user says.
        frames: Of the clip that is drawn.
        seed: Of random positions.

    Raises:
        UsageError: Listed frames are not in the clip, or more are asked for than there are.
        InputError: There are too few drawings, or a number that does not fit, for the frames.
    """
    listed = positions.explicit(frames, options.sketch_frames)
    known = _candidates(source, listed, frames)
    if options.sketch_positions == "random":
        order = positions.at_random(frames, seed)
    else:
        order = positions.bisection(frames)
    return {frame: known[frame] for frame in positions.choose(order, known, options.sketch_count)}


def read(source: Source, indices: Mapping[int, int]) -> dict[int, Image]:
    """The drawings that `assign` chose, by frame, each (H, W, 3) uint8 RGB, all of one size.

    Raises:
        InputError: One is broken, or has another size, or the clip ends early.
    """
    wanted = set(indices.values())
    drawings: dict[int, Image] = {}
    if source.files:
        drawings = {index: read_image(source.files[index], role=ROLE) for index in sorted(wanted)}
    else:
        with VideoReader(source.path, role=ROLE) as video:
            for index, picture in enumerate(video):
                if index in wanted:
                    drawings[index] = picture
                if len(drawings) == len(wanted):
                    break
    if len(drawings) < len(wanted):
        raise InputError(f"{source.path} ends before its frame {min(wanted - drawings.keys())}; it is truncated.")
    first = drawings[min(wanted)]
    for index, picture in drawings.items():
        if picture.shape != first.shape:
            (height, width), (tall, wide) = picture.shape[:2], first.shape[:2]
            raise InputError(
                f"{source.files[index]} is {width}x{height}; the drawings before it are {wide}x{tall}.",
                hint="all drawings need one size",
            )
    return {frame: drawings[index] for frame, index in indices.items()}


def _folder(path: Path) -> Source:
    files = sorted(pictures_in(path), key=lambda one: _natural(one.name))
    if not files:
        raise InputError(
            f"{path} (option sketch of tooncrafter) holds no pictures.",
            hint=f"a folder of drawings holds {' '.join(SUFFIXES[:4])} files, named by their frames: 04.png, 11.png",
        )
    return Source(path, len(files), tuple(files), _numbers(files))


def _numbers(files: list[Path]) -> tuple[int, ...] | None:
    """Frames that names say. Names that only count from 0 or 1 say the order, not where in the clip they are."""
    found = [re.findall(r"\d+", one.stem) for one in files]
    if not all(found):
        return None
    numbers = [int(digits[-1]) for digits in found]
    counted = any(sorted(numbers) == list(range(start, start + len(files))) for start in (0, 1))
    return None if counted or len(set(numbers)) < len(numbers) else tuple(numbers)


def _candidates(source: Source, listed: tuple[int, ...], frames: int) -> dict[int, int]:
    """All frames that have a drawing."""
    count, numbers = source.count, source.numbers
    if listed:
        if numbers is not None and set(listed) <= set(numbers):
            return {frame: numbers.index(frame) for frame in listed}
        if count == len(listed):
            return dict(zip(listed, range(count), strict=True))
        if count < max(len(listed), 2):
            raise InputError(
                f"{source.path} has {count} drawing{'s' * (count != 1)}; sketch_frames of tooncrafter names "
                f"{len(listed)} frames.",
                hint=f"name {count} frame{'s' * (count != 1)}, or give more drawings",
            )
        return {frame: _at(frame, frames, count) for frame in listed}
    if numbers is not None:
        if max(numbers) >= frames:
            raise InputError(
                f"{source.path} has a drawing for frame {max(numbers)} "
                f"({source.files[numbers.index(max(numbers))].name}); the clip has frames 0 .. {frames - 1}.",
                hint="name drawings by their frames, count them from 1 to spread them evenly, or give sketch_frames",
            )
        return {frame: index for index, frame in enumerate(numbers)}
    if count >= frames:
        return {frame: _at(frame, frames, count) for frame in range(frames)}
    if count > frames - 2:
        raise InputError(
            f"{source.path} has {count} drawings for {frames} frames; where they belong is not clear.",
            hint=f"give {frames} drawings, or {frames - 2} or fewer, or name their frames in sketch_frames",
        )
    return dict(zip(positions.evenly(frames, count), range(count), strict=True))


def _at(frame: int, frames: int, count: int) -> int:
    """The drawing at a frame's time, where `count` of them last as long as the clip."""
    return frame if frames == 1 else (2 * frame * (count - 1) + frames - 1) // (2 * (frames - 1))


def _frames_of_picture(path: Path) -> int:
    """How many frames a picture has; 0 for what is not one."""
    with path.open("rb") as file:
        head = file.read(32)
    try:
        header = open_header(path.read_bytes(), str(path), ROLE) if _may_be_picture(head) else None
    except InputError:
        return 1  # a broken picture: reading it says so
    if header is None:
        return 0
    return 1 if header.format in ("MPO", "TIFF") else int(getattr(header, "n_frames", 1))


def _may_be_picture(head: bytes) -> bool:
    starts = (b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", b"II*\0", b"MM\0*")
    return head.startswith(starts) or head[8:12] in (b"WEBP", b"avif")


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts]
