"""Triplets to learn from: a folder that ``animegen data rrld`` made, or one in the layout of ATD-12K or of EISAI."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from animegen.errors import InputError
from animegen.imageio import read_image
from animegen_eisai.data.frames import resized
from animegen_eisai.data.manifest import MANIFEST, read_manifest

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_NUMBERED = ("frame1", "frame2", "frame3")
_ATD = "train_10k"
LAYOUTS = (
    f"a folder with {MANIFEST} (animegen data rrld VIDEO... --out DIR)",
    "a folder of folders with frame1, frame2 and frame3 each (ATD-12K: the one with train_10k, or train_10k itself)",
    "images/A-B-C/A.png B.png C.png, and perhaps flows/A-B-C.pt",
)


@dataclass(frozen=True)
class Triplet:
    """Three frames in a row.

    Attributes:
        name: Its path within the material, with forward slashes.
        images: Their files.
        flows: File of (2, 2, H, W): to the first frame, to the last; (dy, dx). None where flows are yet to be found.
    """

    name: str
    images: tuple[Path, Path, Path]
    flows: Path | None = None

    def read(self, height: int, width: int) -> dict[str, Tensor | None]:
        """Its frames at a size, ``images`` (3, 3, height, width) uint8, and ``flows`` (2, 2, height, width), (dx, dy).

        Raises:
            InputError: A file of it is absent or broken.
        """
        pictures = [resized(read_image(path), height, width) for path in self.images]
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
        return {"images": images, "flows": None if self.flows is None else _read_flows(self.flows, height, width)}


def find_triplets(folder: Path) -> tuple[list[Triplet], list[str]]:
    """The triplets of a folder, in the order of their names.

    Returns:
        Them, and a sentence for whatever is odd.

    Raises:
        InputError: There are none, or the manifest cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of triplets.", hint=LAYOUTS)
    odd: list[str] = []
    if (folder / MANIFEST).is_file():
        found = list(_listed(folder))
    elif (folder / "images").is_dir():
        found = list(_released(folder, odd))
    else:
        found = list(_numbered(folder / _ATD if (folder / _ATD).is_dir() else folder, odd))
    if not found:
        raise InputError(f"{folder} holds no triplets.", hint=(*odd[:2], *LAYOUTS))
    absent = [one for one in found if not all(path.is_file() for path in (*one.images, *_some(one.flows)))]
    if absent:
        odd.append(f"{len(absent)} triplets are left out, whose files are not all there, {absent[0].name} first")
        found = [one for one in found if one not in absent]
    if not found:
        raise InputError(f"none of the triplets of {folder} has all its files.", hint="animegen data rrld makes them")
    return found, odd


def material_digest(triplets: Sequence[Triplet]) -> str:
    """What the material is: names and sizes of all its files."""
    digest = hashlib.sha256()
    for triplet in triplets:
        for path in (*triplet.images, *_some(triplet.flows)):
            digest.update(f"{triplet.name}/{path.name}:{path.stat().st_size}\n".encode())
    return digest.hexdigest()


def _listed(folder: Path) -> Iterator[Triplet]:
    for row in read_manifest(folder / MANIFEST):
        a, b, c = (folder / row.images / f"{slot:06d}.png" for slot in row.frames)
        yield Triplet(row.images, (a, b, c), None if row.flows is None else folder / row.flows)


def _released(folder: Path, odd: list[str]) -> Iterator[Triplet]:
    with_flows = (folder / "flows").is_dir()
    lacking = 0
    for place in sorted(path for path in (folder / "images").iterdir() if path.is_dir()):
        flows = folder / "flows" / f"{place.name}.pt"
        slots = place.name.split("-")
        if len(slots) != 3 or (with_flows and not flows.is_file()):
            lacking += 1
            continue
        a, b, c = (place / f"{slot}.png" for slot in slots)
        yield Triplet(f"images/{place.name}", (a, b, c), flows if with_flows else None)
    if lacking:
        odd.append(f"{lacking} folders of images are left out: they are not named A-B-C, or have no flows")


def _numbered(folder: Path, odd: list[str]) -> Iterator[Triplet]:
    lacking = 0
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = {path.stem: path for path in place.iterdir() if path.suffix.lower() in _SUFFIXES}
        if not all(name in files for name in _NUMBERED):
            lacking += 1
            continue
        a, b, c = (files[name] for name in _NUMBERED)
        yield Triplet(place.name, (a, b, c))
    if lacking:
        odd.append(f"{lacking} folders are left out, which lack frame1, frame2 or frame3")


def _some(path: Path | None) -> tuple[Path, ...]:
    return () if path is None else (path,)


def _read_flows(path: Path, height: int, width: int) -> Tensor:
    try:
        flows: Tensor = torch.load(path, weights_only=True, map_location="cpu").float()
        if flows.ndim != 4 or flows.shape[:2] != (2, 2):
            raise ValueError(f"it is {tuple(flows.shape)}")
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{path} holds no flows: {' '.join(str(error).split())[:200]}.") from error
    if flows.shape[2:] != (height, width):
        by = flows.new_tensor((height / flows.shape[2], width / flows.shape[3])).view(1, 2, 1, 1)
        flows = interpolate(flows, (height, width), mode="bilinear") * by
    return flows.flip(1)


def as_float(images: Tensor) -> Tensor:
    """uint8 as float32 in [0, 1]."""
    return images.float() / 255
