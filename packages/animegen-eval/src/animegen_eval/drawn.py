"""What it took to draw between two pictures, and what the interpolator said: kept beside the frames it drew.

So an evaluation that is called again, and draws nothing, still says what drawing cost and where it only dissolved.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from animegen.atomic import write_bytes


@dataclass(frozen=True)
class Drawn:
    """One pair that was drawn.

    Attributes:
        seconds: It took, of the clock on the wall, metrics at work beside it; None where nobody looked.
        warnings: What the interpolator said of it.
    """

    seconds: float | None
    warnings: tuple[str, ...] = ()


class DrawnRecords:
    """Records of pairs by the digest of what was drawn.

    Args:
        folder: Where they lie; None keeps those of this process in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, Drawn] = {}

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def get(self, key: str) -> Drawn | None:
        """The record; None where there is none, or it is damaged."""
        if key not in self._known and self._folder is not None:
            try:
                record = json.loads(self._path(key).read_text("utf-8"))
                self._known[key] = Drawn(record["seconds"], tuple(record["warnings"]))
            except (OSError, ValueError, KeyError, TypeError):
                return None
        return self._known.get(key)

    def put(self, key: str, drawn: Drawn) -> None:
        """Keep a record. Raises ResourceError where the disk is full or read-only."""
        self._known[key] = drawn
        if self._folder is not None:
            write_bytes(self._path(key), json.dumps(asdict(drawn)).encode())

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / key[:2] / f"{key[2:]}.json"


def row(pairs: Sequence[Drawn]) -> dict[str, Any]:
    """Pairs as one line: how many, the median of what they took, how many were warned of, and one such warning."""
    seconds = [one.seconds for one in pairs if one.seconds is not None]
    warned = [one for one in pairs if one.warnings]
    return {
        "pairs": len(pairs),
        "seconds": median(seconds) if seconds else None,
        "warned": len(warned),
        "warning": warned[0].warnings[0] if warned else "",
    }
