"""The tables of a dataset: which triplets there are, and what was found of every frame and triplet on the way.

DIR/
  triplets.jsonl                         what a training reads: a line for each triplet that was taken
  VIDEO/
    changes.csv                          how each frame differs from the one before
    judgements.csv                       every triplet and why it was taken or not
    rrld.txt                             those that were taken, as the released program lists them
    images/A-B-C/A.png B.png C.png       960 × 540
    flows/A-B-C.pt                       (2, 2, 540, 960): to the first frame, to the last; (dy, dx) as released
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from animegen.atomic import write_bytes
from animegen.errors import InputError

MANIFEST = "triplets.jsonl"


@dataclass(frozen=True)
class TripletRow:
    """A line of the manifest.

    Attributes:
        video: Name of the video's folder.
        frames: Slots of the three frames.
        seconds: When the first is shown.
        shot: Number of its shot in the video, from 0.
        images: Folder of the three pictures, relative to the manifest.
        flows: File of the flows, relative to it, or None.
        linearity: RRLD.
        coverage: Share of the picture that moves.
    """

    video: str
    frames: tuple[int, int, int]
    seconds: float
    shot: int
    images: str
    flows: str | None
    linearity: float
    coverage: float


def write_manifest(folder: Path, rows: Iterable[TripletRow]) -> Path:
    """Write the manifest of a dataset."""
    path = folder / MANIFEST
    write_bytes(path, "".join(json.dumps(asdict(row)) + "\n" for row in rows).encode())
    return path


def read_manifest(path: Path) -> list[TripletRow]:
    """Read a manifest. Raises InputError with the line that is wrong."""
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            found = json.loads(line)
            first, middle, last = (int(slot) for slot in found.pop("frames"))
            rows.append(TripletRow(frames=(first, middle, last), **found))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise InputError(f"line {number} of {path} is no triplet: {error}.") from None
    return rows


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a table as CSV; what a row lacks stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if row[name] is None else row[name] for name in columns] for row in rows)
    write_bytes(path, text.getvalue().encode())


def released_list(taken: Iterable[tuple[str, float, float]]) -> str:
    """``rrld.txt``: name, RRLD and coverage of each triplet that was taken."""
    lines = [f"{name},{linearity:.16f},{coverage:.16f}" for name, linearity, coverage in taken]
    return "\n".join(["frames,linearity,coverage", *lines])
