"""The three passes over a video, each in pieces that any process can do: changes, judgements, pictures.

A piece keeps a journal, so that whatever ends it, the next run goes on with the frame or triplet after the last one.
Frames are held two (changes) or three (judgements, pictures) at a time, however long the video is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from animegen.atomic import replacing
from animegen.imageio import write_image
from animegen.resumable.journal import Journal
from animegen.upsampling.cuts import CutDetector
from animegen.video.even import EvenVideo
from animegen_eisai.data.duplicates import NONE, ChangeDetector
from animegen_eisai.data.frames import KEPT, sized
from animegen_eisai.data.linearity import HEIGHT, WIDTH, is_credits, judge
from animegen_eisai.data.motion import Motion, make_motion, share_processor
from animegen_eisai.data.reencoding import Reencoded

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame
    from animegen_eisai.data.options import RrldOptions

Triplet = tuple[int, int, int]
"""Slots of three frames."""


@dataclass(frozen=True)
class Piece:
    """A piece of work.

    Attributes:
        video: What is read.
        place: The journal; for pictures the folder that they go to.
        slots: (first, past the last) slot, for changes; the last may be None: to the end.
        triplets: For judgements and pictures.
    """

    video: EvenVideo | Reencoded
    place: Path
    slots: tuple[int, int | None] = (0, 0)
    triplets: tuple[Triplet, ...] = ()


class Changes:
    """How each frame differs from the one before, and whether a cut lies between."""

    def __init__(self, options: RrldOptions, job: int, jobs: int) -> None:
        self._options = options
        share_processor(jobs)

    def __call__(self, piece: Piece) -> list[dict[str, Any]]:
        """Rows ``{"frame": slot, "rgb_mean": ..., ..., "cut": score}``; slot 0 has none."""
        first, stop = max(1, piece.slots[0]), piece.slots[1]
        with Journal(piece.place) as journal:
            if journal.finished:
                return journal.rows
            begin = first + len(journal.rows) - 1
            change, cut = ChangeDetector(), CutDetector(self._options.cut_threshold)
            shown: SourceFrame | None = None
            for slot, frame in piece.video.stretch(begin, stop):
                if frame is shown:  # one frame of the source in two slots
                    journal.add({"frame": slot, **asdict(NONE), "cut": 0.0})
                    continue
                shown, score = frame, cut(frame)
                found = change(sized(frame, HEIGHT, WIDTH, self._options.fit))
                if slot > begin:
                    assert found is not None
                    journal.add({"frame": slot, **asdict(found), "cut": round(score, 6)})
            journal.finish()
            return journal.rows


class Judgements:
    """Whether triplets are worth learning from."""

    def __init__(self, options: RrldOptions, path: Path | None, devices: Sequence[str], job: int, jobs: int) -> None:
        self._options = options
        self._motion = make_motion(options, path, devices, job, jobs)

    def __call__(self, piece: Piece) -> list[dict[str, Any]]:
        """Rows ``{"frames": triplet, "verdict": ..., "linearity": ..., "coverage": ...}``."""
        with Journal(piece.place) as journal:
            if journal.finished:
                return journal.rows
            seen: dict[int, _Seen] = {}
            for triplet, frames in windows(piece.video, piece.triplets[len(journal.rows) :]):
                seen = {
                    slot: seen.get(slot) or _Seen(sized(frame, HEIGHT, WIDTH, self._options.fit), self._motion)
                    for slot, frame in zip(triplet, frames, strict=True)
                }
                journal.add({"frames": list(triplet), **self._judged(*seen.values())})
            journal.finish()
            return journal.rows

    def _judged(self, before: _Seen, middle: _Seen, after: _Seen) -> dict[str, Any]:
        if is_credits(torch.from_numpy(middle.picture).permute(2, 0, 1)):
            return {"verdict": "credits", "linearity": None, "coverage": None}
        found = judge(
            self._motion.between(middle.known, before.known),
            self._motion.between(middle.known, after.known),
            linear=self._options.linearity,
        )
        number = found.linearity if np.isfinite(found.linearity) else None
        return {"verdict": found.verdict, "linearity": number, "coverage": found.coverage}


class Pictures:
    """Writes the three frames of triplets, and the flows between the outer two."""

    def __init__(self, options: RrldOptions, path: Path | None, devices: Sequence[str], job: int, jobs: int) -> None:
        self._options = options
        self._motion: Motion | None = make_motion(options, path, devices, job, jobs) if options.flows else None

    def __call__(self, piece: Piece) -> int:
        """How many triplets were not there yet."""
        absent = [triplet for triplet in piece.triplets if self._files(piece.place, triplet)]
        for triplet in absent:
            _sweep(piece.place, name_of(triplet))
        for triplet, frames in windows(piece.video, absent):
            pictures = [sized(frame, *KEPT, self._options.fit) for frame in frames]
            for path, index in self._files(piece.place, triplet):
                if index is not None:
                    write_image(path, pictures[index])
                else:
                    self._write_flows(path, pictures[0], pictures[-1])
        return len(absent)

    def _files(self, folder: Path, triplet: Triplet) -> list[tuple[Path, int | None]]:
        """Files of a triplet that are absent: pictures with their number, flows with None."""
        name = name_of(triplet)
        files: list[tuple[Path, int | None]] = [
            (folder / "images" / name / f"{slot:06d}.png", index) for index, slot in enumerate(triplet)
        ]
        if self._motion is not None:
            files.append((folder / "flows" / f"{name}.pt", None))
        return [file for file in files if not file[0].exists()]

    def _write_flows(self, path: Path, first: Image, last: Image) -> None:
        assert self._motion is not None
        a, b = self._motion.known(first), self._motion.known(last)
        flows = torch.stack((self._motion.between(b, a), self._motion.between(a, b))).flip(1)  # published as (dy, dx)
        with replacing(path) as beside:
            torch.save(flows.contiguous(), beside)


def _sweep(folder: Path, name: str) -> None:
    """Remove what a killed process has left half written of a triplet."""
    for part in (*(folder / "images" / name).glob(".*.part.*"), *(folder / "flows").glob(f".{name}.*.part.*")):
        part.unlink(missing_ok=True)


class _Seen:
    """A frame as it is judged: what its motion needs is worked out once for the three triplets that it is in."""

    def __init__(self, picture: Image, motion: Motion) -> None:
        self.picture = picture
        self._motion = motion
        self._known: Any = None

    @property
    def known(self) -> Any:
        if self._known is None:
            self._known = self._motion.known(self.picture)
        return self._known


def windows(video: EvenVideo | Reencoded, triplets: Iterable[Triplet]) -> Iterator[tuple[Triplet, list[SourceFrame]]]:
    """The frames of triplets, which come in the order of time, each read once."""
    waiting = list(triplets)
    if not waiting:
        return
    wanted = {slot for triplet in waiting for slot in triplet}
    held: dict[int, SourceFrame] = {}
    place = 0
    for slot, frame in video.stretch(waiting[0][0], waiting[-1][2] + 1):
        if slot not in wanted:
            continue
        held[slot] = frame
        while place < len(waiting) and waiting[place][2] == slot:
            yield waiting[place], [held[one] for one in waiting[place]]
            place += 1
        if place == len(waiting):
            return
        oldest = waiting[place][0]
        held = {one: kept for one, kept in held.items() if one >= oldest}


def name_of(triplet: Triplet) -> str:
    """``000012-000014-000015``."""
    return "-".join(f"{slot:06d}" for slot in triplet)
