"""What a stage has to say about its frames, gathered: a film of a hundred thousand frames may say it each time."""

from __future__ import annotations

import re
import threading
from fractions import Fraction

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Said:
    """Warnings that differ only in their numbers count as one. Any thread may add to it."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, Fraction]] = {}
        self._count: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, message: str, time: Fraction) -> None:
        """`message` was said while the frame at `time` was drawn."""
        kind = _NUMBER.sub("#", message)
        with self._lock:
            self._count[kind] = self._count.get(kind, 0) + 1
            if kind not in self._first or time < self._first[kind][1]:
                self._first[kind] = message, time

    def lines(self) -> list[str]:
        """One sentence for each kind, in the order of the film."""
        lines = []
        for kind, (message, time) in sorted(self._first.items(), key=lambda item: item[1][1]):
            more = self._count[kind] - 1
            often = f", and {more} more {'time' if more == 1 else 'times'} like it" if more else ""
            lines.append(f"at {float(time):.2f} s{often}: {message}")
        return lines
