"""What passes between ``animegen data`` and what makes a dataset. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from animegen.resumable.plan import WorkPlan, WorkResult


@dataclass(frozen=True)
class DataOrder:
    """How the work is to go, whatever is made.

    Attributes:
        jobs: Processes at once.
    """

    jobs: int = 1


@dataclass(frozen=True)
class DataPlan(WorkPlan):
    """What a maker found and would do.

    Attributes:
        digests: SHA-256 of what decides of each file that is read, by its path.
    """

    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DataResult(WorkResult):
    """What was made: `files` that a training reads first, then other tables.

    Attributes:
        summary: How much it is, in a line: ``412 triplets of 5 videos``.
        use: The command that uses it, after ``animegen``: ``train eisai FOLDER --out DIR``.
    """

    summary: str
