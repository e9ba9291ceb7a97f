"""ATD-12K as it is published: triplets in folders, annotations beside them, subsets by names and annotations.

    test_2k_540p/NAME/frame1.png frame2.png frame3.png      (test_2k_original and others: jpg, of other sizes)
    test_2k_annotations/NAME/NAME.json                       image_size, motion_RoI, level
    train_10k/NAME/frame1.jpg frame2.jpg frame3.jpg

There is no list: the triplets are the folders, sorted by name. A name that holds ``Japan_`` is of the subset east, one
that holds ``Disney_`` of west. The dataset is that of Siyao et al., "Deep Animation Video Interpolation in the Wild"
(AnimeInterp, CVPR 2021); what is told apart here is what its evaluators and those of EISAI tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from animegen.documents import read_json
from animegen.errors import InputError
from animegen.imageio import no_such_file
from animegen.media import Box
from animegen.pipeline.hashing import text_digest
from animegen_eval.samples.pictures import FolderPictures, Held, Memory, Pictures
from animegen_eval.samples.sources import PICTURES, Source, find_sources

if TYPE_CHECKING:
    from animegen.media import Image

SIZE = (960, 540)
"""Width and height at which the published scores were taken; frames of another size are brought to it."""
TEST, TRAIN = "test_2k_", "train_10k"
PREFERRED = "test_2k_540p"
ANNOTATIONS = "test_2k_annotations"
BESIDE = (ANNOTATIONS, "test_2k_pre_calc_sgm_flows")
"""Folders whose names begin as those of triplets do, and that hold none."""
ORIGINS = {"Japan_": "east", "Disney_": "west"}
LEVELS = ("easy", "medium", "hard")
SUBSETS = ("east", "west", *LEVELS)
FRAMES = ("frame1", "frame2", "frame3")
_SHOWN = 5


def find_triplets(paths: Sequence[Path], memory: Memory, *, note: Callable[[str], None]) -> list[Source]:
    """The triplets that `paths` name, sorted by name within each.

    Args:
        paths: The dataset's folder, or one folder of triplets. Folders of three pictures without the dataset's names
            are taken as they are, at their size, and belong to no subset.
        memory: Where decoded triplets are kept.
        note: Told what is not as in the published evaluation.

    Raises:
        InputError: A path is absent or holds no triplets; a triplet lacks a frame; an annotation cannot be read.
    """
    found: list[Source] = []
    for path in paths:
        if not path.exists():
            raise no_such_file(path)
        folder = _folder(path, note) if path.is_dir() else path
        names = _names(folder) if folder.is_dir() else []
        if not names:
            found += find_sources([path], memory, note=note)
            continue
        if folder.name == TRAIN:
            note(f"{folder.name} is the training part: published scores are of the test part")
        found += _triplets(folder, names, memory, note)
    return found


def origin(name: str) -> str | None:
    """``east`` or ``west`` by the name of a triplet, or None for a name of another kind."""
    return next((subset for sign, subset in ORIGINS.items() if sign in name), None)


def _folder(path: Path, note: Callable[[str], None]) -> Path:
    """The folder of triplets in the dataset's folder, or the folder itself."""
    inside = sorted(child.name for child in path.iterdir() if child.is_dir())
    tests = [name for name in inside if name.startswith(TEST) and name not in BESIDE]
    if PREFERRED in tests:
        if len(tests) > 1:
            note(f"of {', '.join(tests)} in {path.name}, {PREFERRED} is scored")
        return path / PREFERRED
    if len(tests) > 1:
        raise InputError(f"{path} holds {', '.join(tests)}.", hint=f"name one of them: {path / tests[0]}")
    if tests:
        return path / tests[0]
    if TRAIN in inside:
        raise InputError(f"{path} holds the training part alone.", hint=f"if that is what you want: {path / TRAIN}")
    return path


def _names(folder: Path) -> list[str]:
    """Sorted names of triplets; none where a folder has other names, and so is not of the dataset."""
    inside = sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    return inside if inside and all(origin(name) for name in inside) else []


def _triplets(folder: Path, names: Sequence[str], memory: Memory, note: Callable[[str], None]) -> Iterator[Source]:
    marks = _annotations(folder, names, note)
    lacking = {name: absent for name in names if (absent := _lacking(folder / name))}
    if lacking:
        some = ", ".join(f"{name} ({', '.join(absent)})" for name, absent in list(lacking.items())[:_SHOWN])
        raise InputError(
            f"{len(lacking)} of {len(names)} triplets in {folder} lack a frame: {some}"
            f"{' …' if len(lacking) > _SHOWN else ''}.",
            hint="unpack the dataset again; a triplet has frame1, frame2 and frame3",
        )
    resized = 0
    for name in names:
        pictures: Pictures = FolderPictures(folder / name, _files(folder / name))
        if pictures.size != SIZE:
            pictures = Resized(pictures, SIZE)
            resized += 1
        mark = marks.get(name, {})
        subsets = [subset for subset in (origin(name), mark.get("level")) if subset is not None]
        source = Source(name, folder.name, str(folder / name), Held(pictures, memory))
        yield replace(source, subsets=tuple(subsets), region=mark.get("region"))
    if resized:
        width, height = SIZE
        note(f"{resized} of {len(names)} triplets are brought to {width} × {height} (Lanczos), as published")


def _files(folder: Path) -> list[Path]:
    """The three frames, in order; of two with one name, the one without loss."""
    there = [one for one in folder.iterdir() if one.suffix.lower() in PICTURES]
    there.sort(key=lambda one: PICTURES.index(one.suffix.lower()))
    return [next(one for one in there if one.stem == name) for name in FRAMES]


def _lacking(folder: Path) -> list[str]:
    stems = {one.stem for one in folder.iterdir() if one.suffix.lower() in PICTURES}
    return [name for name in FRAMES if name not in stems]


def _annotations(folder: Path, names: Sequence[str], note: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Level and region of each triplet that is annotated."""
    place = folder.parent / ANNOTATIONS
    if not place.is_dir():
        note(f"there is no {ANNOTATIONS} beside {folder.name}: no difficulty levels, no motion regions")
        return {}
    found = {name: path for name in names if (path := place / name / f"{name}.json").is_file()}
    if len(found) < len(names):
        absent = [name for name in names if name not in found]
        note(f"{len(absent)} of {len(names)} triplets are not annotated ({', '.join(absent[:_SHOWN])})")
    marks = {name: read_annotation(path) for name, path in found.items()}
    if small := [name for name, mark in marks.items() if mark["region"] is None]:
        note(f"{len(small)} motion regions are too small to be scored ({', '.join(small[:_SHOWN])})")
    return marks


def read_annotation(path: Path) -> dict[str, Any]:
    """What is annotated of a triplet.

    Returns:
        ``level``: of `LEVELS`; ``region``: the box of motion at 960 × 540, brought there as the original does, every
        number divided and rounded down; None where it is too small for SSIM.

    Raises:
        InputError: The file is damaged, or says something else.
    """
    document = read_json(path, "an annotation of ATD-12K")
    try:
        width, height = (float(side) for side in document["image_size"])
        box = {name: float(document["motion_RoI"][name]) for name in ("x", "y", "width", "height")}
        level = int(document["level"])
        if width <= 0 or height <= 0 or min(box.values()) < 0 or not 0 <= level < len(LEVELS):
            raise ValueError("a number lies outside of what it may be")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no annotation of ATD-12K: {error}.", hint="it has image_size, motion_RoI and level (0, 1 or 2)"
        ) from None
    across, down = width / SIZE[0], height / SIZE[1]
    x, y = int(box["x"] // across), int(box["y"] // down)
    region = Box(x, y, x + int(box["width"] // across), y + int(box["height"] // down)).clip(*SIZE)
    fits = min(region.width, region.height) >= LEAST_REGION
    return {"level": LEVELS[level], "region": region if fits else None}


LEAST_REGION = 11
"""Px a side; SSIM measures nothing smaller."""


class Resized(Pictures):
    """Pictures of another size, resampled by Pillow's Lanczos filter as the published evaluator does."""

    def __init__(self, base: Pictures, size: tuple[int, int]) -> None:
        self._base, self._size = base, size

    @property
    def digest(self) -> str:
        return text_digest("lanczos", self._base.digest, *map(str, self._size))

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def __len__(self) -> int:
        return len(self._base)

    def __iter__(self) -> Iterator[Image]:
        return (self._resized(picture) for picture in self._base)

    def at(self, indices: Sequence[int]) -> Iterator[Image]:
        return (self._resized(picture) for picture in self._base.at(indices))

    def _resized(self, picture: Image) -> Image:
        made = PIL.Image.fromarray(picture).resize(self._size, PIL.Image.Resampling.LANCZOS)
        return np.ascontiguousarray(made, dtype=np.uint8)


class Cropped(Pictures):
    """A part of every picture."""

    def __init__(self, base: Pictures, box: Box) -> None:
        self._base, self._box = base, box

    @property
    def digest(self) -> str:
        return text_digest("cropped", self._base.digest, *map(str, self._box))

    @property
    def size(self) -> tuple[int, int]:
        return self._box.width, self._box.height

    def __len__(self) -> int:
        return len(self._base)

    def __iter__(self) -> Iterator[Image]:
        return (self._cropped(picture) for picture in self._base)

    def at(self, indices: Sequence[int]) -> Iterator[Image]:
        return (self._cropped(picture) for picture in self._base.at(indices))

    def _cropped(self, picture: Image) -> Image:
        box = self._box
        return np.ascontiguousarray(picture[box.y0 : box.y1, box.x0 : box.x1])


def members(sources: Sequence[Source]) -> Mapping[str, frozenset[tuple[str, str]]]:
    """Keys of the clips of each subset that there is, in the order of `SUBSETS`."""
    found = {name: frozenset(source.key for source in sources if name in source.subsets) for name in SUBSETS}
    return {name: keys for name, keys in found.items() if keys}
