"""Knowing a file of parameters again: its digests, and the note that is kept once they were checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from animegen.atomic import write_bytes
from animegen.errors import ResourceError

if TYPE_CHECKING:
    from pathlib import Path

    from animegen.stages import Weight

Progress = Callable[[int, int | None, str], None]
"""``progress(done, total, step)``: bytes done, of how many or None, and ``fetch``, ``copy`` or ``verify``."""

_CHUNK = 1 << 20


def ignore(done: int, total: int | None, step: str) -> None:
    """The progress callback of somebody who does not want to know."""


@dataclass(frozen=True)
class Measured:
    """What a file turned out to be."""

    size: int
    sha256: str
    md5: str | None


def measure(path: Path, *, md5: bool = False, progress: Progress = ignore) -> Measured:
    """Read the whole of `path` and digest it; with MD5, which costs as much again, only when asked."""
    total = path.stat().st_size
    strong = hashlib.sha256()
    weak = hashlib.md5(usedforsecurity=False) if md5 else None
    done = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            strong.update(chunk)
            if weak is not None:
                weak.update(chunk)
            done += len(chunk)
            progress(done, total, "verify")
    return Measured(done, strong.hexdigest(), weak.hexdigest() if weak is not None else None)


def measure_for(weight: Weight, path: Path, progress: Progress = ignore) -> Measured:
    """`measure`, with the digests that `weight` can be compared with."""
    return measure(path, md5=weight.md5 is not None and weight.sha256 is None, progress=progress)


def difference(weight: Weight, found: Measured) -> str:
    """How `found` differs from the record, with both values; empty when it does not.

    The strongest published digest decides: SHA-256, else MD5. The size must fit in any case.
    """
    if weight.size is not None and found.size != weight.size:
        return f"size expected {weight.size:,} bytes, got {found.size:,}"
    if weight.sha256 is not None and found.sha256 != weight.sha256.lower():
        return f"SHA-256 expected {weight.sha256.lower()}, got {found.sha256}"
    if weight.sha256 is None and weight.md5 is not None and found.md5 != weight.md5.lower():
        return f"MD5 expected {weight.md5.lower()}, got {found.md5}"
    return ""


def has_digest(weight: Weight) -> bool:
    """Whether its publisher gives a digest, so that another file cannot pass for it."""
    return weight.sha256 is not None or weight.md5 is not None


@dataclass(frozen=True)
class Note:
    """What was found when a file was last read as a whole. Holds for exactly these bytes at this place.

    Attributes:
        path: The file, which may lie in a shared folder that cannot be written to.
        size, mtime_ns: Of the file when it was read; when either differs, the note says nothing any more.
        sha256: Digest measured then.
        published: Digest and size of the record it was compared with; empty when the record has neither.
        problem: How it differed from its record; empty when it did not.
        source: Where it came from, without user names, passwords and query.
        license: Licence of the record at that time.
        when: Time of the check, ISO 8601, UTC.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str
    published: str
    problem: str
    source: str
    license: str
    when: str

    @classmethod
    def of(cls, path: Path, weight: Weight, found: Measured, source: str, before: Note | None = None) -> Note:
        """What reading `path` has shown.

        Where no digest is published, the most that can be said is whether the file is still the one that
        came: then the digest in `before` is what it is compared with.
        """
        stat = path.stat()
        problem, sha256 = difference(weight, found), found.sha256
        if not has_digest(weight) and before and before.path == str(path) and before.sha256 != sha256:
            problem, sha256 = f"SHA-256 was {before.sha256} when it came, now {sha256}", before.sha256
        return cls(
            str(path),
            stat.st_size,
            stat.st_mtime_ns,
            sha256,
            _published(weight),
            problem,
            source,
            weight.license,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @classmethod
    def read(cls, place: Path) -> Note | None:
        """The note at `place`, or None when there is none that can be read."""
        try:
            data = json.loads(place.read_text("utf-8"))
            return cls(**{field.name: data[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, place: Path) -> None:
        """Keep the note; where the folder cannot be written to, the file is simply read again next time."""
        try:
            write_bytes(place, (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode())
        except ResourceError:
            return

    def is_of(self, path: Path) -> bool:
        """Whether `path` is still the file that was read."""
        try:
            stat = path.stat()
        except OSError:
            return False
        return (self.path, self.size, self.mtime_ns) == (str(path), stat.st_size, stat.st_mtime_ns)

    def holds_for(self, path: Path, weight: Weight) -> bool:
        """Whether `path` is still the file that was read, and `weight` the record it was compared with."""
        return self.is_of(path) and self.published == _published(weight)


def _published(weight: Weight) -> str:
    return f"{weight.sha256 or weight.md5 or ''} {weight.size or ''}".strip()
