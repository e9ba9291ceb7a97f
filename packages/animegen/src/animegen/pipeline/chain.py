"""Panels one after the other: which two each part of a clip leads between, and the parts as one sequence of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.errors import UsageError
from animegen.pipeline.hashing import text_digest

if TYPE_CHECKING:
    from animegen.media import Image, Mask
    from animegen.pipeline.store import Entry


def links(panels: int, *, loop: bool) -> tuple[tuple[int, int], ...]:
    """Each neighbouring pair of `panels` panels, as indices; with `loop`, last the way back to the first.

    Raises:
        UsageError: There are too few panels for a clip.
    """
    if panels < 1:
        raise UsageError("no panel was given.", hint="animegen run FIRST LAST")
    if panels == 1 and not loop:
        raise UsageError(
            "LAST is missing: a clip goes from one panel to another.",
            hint="animegen run FIRST LAST, or from a panel back to itself: animegen run PANEL --loop",
        )
    way = [*range(panels), 0] if loop else range(panels)
    return tuple(pairwise(way))


def panel_names(count: int) -> tuple[str, ...]:
    """What the panels of a run are called in run.json: ``first``, ``panel-2``, ..., ``last``."""
    between = [f"panel-{number}" for number in range(2, count)]
    return ("first", *between, "last") if count > 1 else ("first",)


def role_of(name: str) -> str:
    """What a panel is called in messages: ``FIRST``, ``PANEL 2``, ``LAST``."""
    return name.upper().replace("-", " ")


class Joined:
    """Results that begin where the one before ends, as one; the frame that two of them share is the earlier one's.

    Args:
        entries: At least one, of one or more images each.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)
        counts = [len(entry) - (number > 0) for number, entry in enumerate(entries)]
        self._ends = tuple(accumulate(counts))
        self.digest = text_digest(*(entry.digest for entry in entries))
        self.info: Mapping[str, Any] = {}

    def __len__(self) -> int:
        return self._ends[-1]

    def load(self, index: int) -> Image:
        entry, own = self._find(index)
        return entry.load(own)

    def load_mask(self, index: int) -> Mask:
        entry, own = self._find(index)
        return entry.load_mask(own)

    def path(self, index: int) -> Path | None:
        entry, own = self._find(index)
        return entry.path(own)

    def _find(self, index: int) -> tuple[Entry, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = next(number for number, end in enumerate(self._ends) if index < end)
        before = self._ends[number - 1] if number else 0
        return self._entries[number], index - before + (number > 0)
