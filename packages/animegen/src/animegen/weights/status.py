"""The state of one file of parameters, as far as names, sizes and the notes of earlier checks tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from animegen.weights.check import Note, has_digest
from animegen.weights.fetch import readable

if TYPE_CHECKING:
    from animegen.stages import Weight

State = Literal["absent", "partial", "unverified", "verified", "damaged"]

BEST_FIRST = ("verified", "unverified", "damaged")


@dataclass(frozen=True)
class WeightStatus:
    """What is known of a file.

    Attributes:
        state: ``absent``; ``partial`` (a download that can be continued); ``unverified`` (here, but not read
            since it came or changed, or its publisher gives no digest); ``verified``; ``damaged``.
        path: Where it is, or where it would be.
        size: Bytes here (of the part that has arrived, for ``partial``).
        shared: Whether it lies in a shared folder.
        sha256: Digest measured when it was last read, or empty.
        checked: When that was.
        source: Where it came from, or empty.
        problem: What is wrong with a damaged one.
    """

    state: State
    path: Path
    size: int = 0
    shared: bool = False
    sha256: str = ""
    checked: datetime | None = None
    source: str = ""
    problem: str = ""

    def usable(self, weight: Weight) -> bool:
        """Whether a stage may be handed it: verified, or here when there is no digest to verify it with."""
        return self.state == "verified" or (self.state == "unverified" and not has_digest(weight))

    def describe(self, weight: Weight, now: datetime | None = None) -> str:
        """For tables: ``ok, verified 3 days ago``, ``3.2 GB of 10.5 GB fetched``, ``damaged: ...``."""
        where = ", shared" if self.shared else ""
        if self.state == "partial":
            return f"{readable(self.size)} of {readable(weight.size) if weight.size else 'it'} fetched"
        if self.state == "damaged":
            return f"damaged: {self.problem}{where}"
        if self.state == "verified" and self.checked:
            return f"ok, verified {_ago(self.checked, now or datetime.now(UTC))}{where}"
        if self.state == "unverified":
            return ("here, not verified yet" if has_digest(weight) else "here, no published digest") + where
        return self.state


def _ago(then: datetime, now: datetime) -> str:
    days = (now - then).days
    return "today" if days < 1 else "yesterday" if days == 1 else f"{days} days ago"


def note_place(path: Path, own: Path) -> Path:
    """Where the note about `path` is kept: beside our own copy, also for shared ones, which are only read."""
    if path == own:
        return own.with_name(f"{own.name}.note.json")
    return own.with_name(f"{own.name}.shared-{_fold(path.parent)}.note.json")


def _fold(folder: Path) -> str:
    return sha256(str(folder).encode()).hexdigest()[:12]


def look(path: Path, own: Path, weight: Weight) -> WeightStatus:
    """The state of the copy at `path`, without reading it."""
    note = Note.read(note_place(path, own))
    if note is not None and note.holds_for(path, weight):
        return from_note(note, own, weight)
    size = path.stat().st_size
    source = note.source if note is not None else ""
    if weight.size is not None and size != weight.size:
        problem = f"size expected {weight.size:,} bytes, got {size:,}"
        return WeightStatus("damaged", path, size, path != own, source=source, problem=problem)
    return WeightStatus("unverified", path, size, path != own, source=source)


def from_note(note: Note, own: Path, weight: Weight) -> WeightStatus:
    """The state that `note` tells of, where it still holds."""
    state: State = "damaged" if note.problem else "verified" if has_digest(weight) else "unverified"
    path = Path(note.path)
    when = datetime.fromisoformat(note.when)
    return WeightStatus(state, path, note.size, path != own, note.sha256, when, note.source, note.problem)
