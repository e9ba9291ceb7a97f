"""What a piece of work has found so far, row by row, so that a killed process loses the row in the making alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animegen.errors import ResourceError

_END = "end"


class Journal:
    """A file of JSON lines to which one process at a time appends; the last one says that the work is finished.

    Args:
        path: Its place; missing folders are made on the first row.

    Attributes:
        rows: Every row that is whole.
        finished: Whether nothing is left to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self.finished = False
        self._whole = 0  # bytes of whole rows
        self._file: Any = None
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        for line in data.splitlines(keepends=True):
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                row = None
            if not isinstance(row, dict):  # a kill cut it short, or a disk was full: what follows is done again
                break
            self._whole += len(line)
            if row.keys() == {_END}:
                self.finished = True
                break
            self.rows.append(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep one more row. Raises ResourceError where it cannot be written."""
        self._write(dict(row))
        self.rows.append(dict(row))

    def finish(self) -> None:
        """Nothing is left to do."""
        self._write({_END: len(self.rows)})
        self.finished = True
        self.close()

    def close(self) -> None:
        """Let go of the file; it may be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, row: dict[str, Any]) -> None:
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
                self._file.truncate(self._whole)
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ResourceError(f"{self.path} cannot be written: {why}.", hint="free some space") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
