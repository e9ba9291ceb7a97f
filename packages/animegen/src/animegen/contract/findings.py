"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        level: ``ok``; ``warning`` (works, but somebody will be surprised); ``error`` (the contract is broken);
            ``skipped`` (could not be looked at here, the message says why).
        check: Short name of the check, e.g. ``shape``.
        message: One sentence.
        stage: Full name of the stage, or empty where the plugin as a whole is meant.
    """

    level: Level
    check: str
    message: str
    stage: str = ""

    def __str__(self) -> str:
        place = f"{self.stage} " if self.stage else ""
        return f"{self.level:8} {place}{self.check}: {self.message}"


def failed(findings: Sequence[Finding]) -> bool:
    """Whether the contract is broken anywhere."""
    return any(finding.level == "error" for finding in findings)
