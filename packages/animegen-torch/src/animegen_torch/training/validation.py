"""Validation now and then: its table, the best state so far, and a rate that is lowered when nothing gets better.

DIR/
  validation.csv     step, scores, learning rate
  best/saves/        the state that scored best, without that of the optimiser
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from animegen.training.processes import primary
from animegen_torch.training import saves
from animegen_torch.training.options import PLATEAU, ValidatedOptions

TABLE = "validation.csv"
BEST = "best"
_BETTER = 1e-4
"""Share by which a loss must be smaller than the best one to count as better."""


@runtime_checkable
class Validated(Protocol):
    """A `animegen_torch.training.task.Task` that can say how good its module is."""

    watched: str
    """Which of the scores is least for the best state."""

    def validate(self) -> Mapping[str, float]:
        """Scores of the module as it is, ``loss`` among them, the same whenever it is asked in the same state.

        It leaves the module in the mode that it found it in.
        """
        ...


@dataclass
class Plateau:
    """Lowers a factor when a loss has not become better for more than `patience` times (as torch's ReduceLROnPlateau).

    Attributes:
        factor: What the rate is multiplied by now.
        best: Least loss so far.
        waited: How many losses have been no better than it.
    """

    patience: int
    lower: float
    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    def take(self, loss: float) -> None:
        """One more loss."""
        if loss < self.best * (1 - _BETTER):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.factor, self.waited = self.factor * self.lower, 0


class Validation:
    """The validations of one training.

    Args:
        task: What is trained.
        options: How often, and the schedule.
        out: Folder of the training.
        state: Of an earlier run that is taken up, from `state`.
    """

    def __init__(
        self, task: Validated, options: ValidatedOptions, out: Path, state: Mapping[str, Any] | None = None
    ) -> None:
        self._task, self._options, self._out = task, options, out
        state = state or {}
        self._plateau = Plateau(options.patience, options.lower, **state.get(PLATEAU, {}))
        self.best: dict[str, float] = dict(state.get("best", {}))

    @property
    def factor(self) -> float:
        """What the rate is multiplied by."""
        return self._plateau.factor if self._options.schedule == PLATEAU else 1.0

    def due(self, step: int, steps: int) -> bool:
        """Whether the module is validated after `step` of `steps`."""
        every = self._options.validate_every
        return bool(every) and (step % every == 0 or step == steps)

    def take(
        self, step: int, rate: float, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Validate, keep the state where it is the best so far, and give the scores.

        A validation at the end that is out of turn leaves the plateau alone, so that more steps can follow.
        """
        with torch.no_grad():
            scores = dict(self._task.validate())
        if step % self._options.validate_every == 0:
            self._plateau.take(scores["loss"])
        if primary():
            self._write(step, rate, scores)
        score = scores[self._task.watched]
        if score < self.best.get("score", math.inf):
            self.best = {"step": step, "score": score}
            if primary():
                saves.clear(self._out / BEST, after=step)  # of a run that was killed, and is now gone on with
                saves.write(self._out / BEST, saves.Save(step, parameters, buffers=buffers), keep=1)
        return scores

    def state(self) -> dict[str, Any]:
        """Plain values from which another run goes on."""
        plateau = self._plateau
        best = plateau.best if math.isfinite(plateau.best) else None
        kept = {"factor": plateau.factor, "waited": plateau.waited, **({} if best is None else {"best": best})}
        return {PLATEAU: kept, "best": self.best}

    def best_state(self) -> saves.Save | None:
        """The state that scored best; None where none was validated."""
        found = saves.last(self._out / BEST) if self.best else None
        return found if found and found.step == self.best["step"] else None

    def _write(self, step: int, rate: float, scores: Mapping[str, float]) -> None:
        path, header = self._out / TABLE, ["step", *scores, "learning_rate"]
        rows = []
        if path.is_file() and step > self._options.validate_every:
            with path.open(newline="", encoding="utf-8") as file:  # rows of steps that are made once more are dropped
                rows = [row for row in csv.reader(file) if row and row[0].isdecimal() and int(row[0]) < step]
        with path.open("w", newline="", encoding="utf-8") as file:
            numbers = [f"{value:.9g}" for value in scores.values()]
            csv.writer(file).writerows([header, *rows, [step, *numbers, f"{rate:.6g}"]])
