"""What passes between ``animegen data`` and what makes a dataset. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animegen.stages import Demand


@dataclass(frozen=True)
class DataOrder:
    """How the work is to go, whatever is made.

    Attributes:
        jobs: Processes at once.
    """

    jobs: int = 1


@dataclass(frozen=True)
class DataPlan:
    """What a maker found and would do.

    Attributes:
        summary: What is made, in a line.
        material: What was found, in a line: ``5 videos, 1 h 52 min``.
        digests: SHA-256 of what decides of each file that is read, by its path.
        demands: Memory by device, over all processes.
        hint: What to set for less memory, shown where there is too little.
        lines: Further (label, text) for the plan.
        warnings: What the user should know before it begins.
        facts: Plain values for data.json.
    """

    summary: str
    material: str
    digests: Mapping[str, str] = field(default_factory=dict)
    demands: tuple[Demand, ...] = ()
    hint: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataResult:
    """What was made.

    Attributes:
        files: What a training reads first, then other tables.
        summary: How much it is, in a line: ``412 triplets of 5 videos``.
        use: The command that uses it, after ``animegen``: ``train eisai FOLDER --out DIR``.
        facts: Plain values for data.json.
    """

    files: tuple[Path, ...]
    summary: str
    use: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
