"""What a run tells while it works. A front end overrides what it wants to show; this base shows nothing."""

from __future__ import annotations

from collections.abc import Sequence


class Reporter:
    """Receives what happens in a run, in order, from one thread."""

    def plan(self, lines: Sequence[tuple[str, str]]) -> None:
        """What is about to be done, as (label, text): ``("plan", "balloons > flat > flow")``."""

    def started(self, number: int, total: int, name: str, detail: str) -> None:
        """Step `number` of `total` begins, e.g. ``interpolate`` with ``25 frames``."""

    def progress(self, done: int, total: int, unit: str) -> None:
        """Progress inside the present step."""

    def finished(self, name: str, summary: str, seconds: float, cached: bool) -> None:
        """The present step is done; `cached` when an earlier run had made it."""

    def warned(self, message: str) -> None:
        """Something the user should know about the result."""
