"""``loss.csv``: a row for each step of a training."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from animegen.training.processes import primary
from animegen.training.records import TrainingStep


class Losses:
    """The file, to which the first of several processes adds. Rows of steps that are made once more are dropped.

    Args:
        path: Its place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def add(self, step: TrainingStep) -> None:
        """Add a row."""
        if not primary():
            return
        if self._file is None:
            kept = self._before(step.step)
            self._file = self._path.open("w", newline="", encoding="utf-8")
            csv.writer(self._file).writerows([["step", "loss", "learning_rate"], *kept])
        csv.writer(self._file).writerow([step.step, f"{step.loss:.9g}", f"{step.learning_rate:.6g}"])
        self._file.flush()

    def _before(self, step: int) -> list[list[str]]:
        if not self._path.is_file() or step == 1:
            return []
        with self._path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.reader(file) if row and row[0].isdecimal() and int(row[0]) < step]

    def __enter__(self) -> Losses:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
