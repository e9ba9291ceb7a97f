"""A training from its settings to what it leaves in a folder, with the record of it.

DIR/
  train.json     how to do it again, and how far it came
  loss.csv       step, loss, learning rate
  ...            what the trainer saves
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from animegen.errors import UsageError
from animegen.pipeline.progress import Reporter
from animegen.resumable.plan import plan_lines, refuse_too_much
from animegen.resumable.record import WorkRecord, differences, read_record, recorded
from animegen.resumable.settings import WorkSettings
from animegen.resumable.work import Work
from animegen.training.losses import Losses
from animegen.training.options import TRAIN, TrainOptions
from animegen.training.processes import primary
from animegen.training.records import TrainingPlan, TrainingStep
from animegen.weights.store import WeightStore

LOSSES = "loss.csv"
Tell = Callable[[TrainingStep], None]


@dataclass(kw_only=True)
class TrainingRecord(WorkRecord):
    """One training.

    Attributes:
        step: Steps done.
        loss: Of the last one.
    """

    step: int = 0
    loss: float | None = None


class Training:
    """One training. Call `plan`, then `run`.

    Args:
        settings: What to do.
        material: What to learn from.
        out: Folder for what is learnt.
        resume: Go on with what the folder holds.
        force: Begin anew, whatever it holds.
        reporter: Told what happens.
        weights: Where weights lie.

    Raises:
        UsageError: The folder holds a training that neither is to be taken up nor begun anew.
        InputError: The material is not there.
    """

    def __init__(
        self,
        settings: WorkSettings[TrainOptions],
        material: Path,
        out: Path,
        *,
        resume: bool = False,
        force: bool = False,
        reporter: Reporter | None = None,
        weights: WeightStore | None = None,
    ) -> None:
        self.settings, self.material, self.out = settings, material, out
        self._work = Work(settings, [material], reporter, weights)
        earlier = read_record(TRAIN, out)
        if earlier is not None and not (resume or force):
            done, steps = earlier["step"], earlier["train"]["steps"]["value"]
            raise UsageError(
                f"{out} holds a training already ({done} of {steps} steps, {earlier['status']}).",
                hint=("--resume goes on with it; --force begins anew", "or name another folder: --out DIR"),
            )
        # Where nothing was begun, there is nothing to go on from: the first run of a command that always says --resume.
        self._earlier = earlier if resume else None
        self.order = settings.values.order(resume=self._earlier is not None)

    def plan(self) -> list[tuple[str, str]]:
        """What would be done, as (label, text); looks at the material and loads nothing.

        Raises:
            MissingError: A library or a file of weights is not here.
            InputError: The material cannot be read, or is not what it was.
            UsageError: The options do not go together, or are not those of the training to be taken up.
        """
        train = self.settings.values
        done = f", {self._earlier['step']} of them done" if self._earlier else ""
        how = f"{train.steps:,}{done}; seed {train.seed}; {train.device}, {train.dtype}"
        return [*plan_lines(self.settings.stage, self._plan, ("steps", how), self._work.warnings)]

    def check(self) -> None:
        """Refuse what cannot go well. Raises ResourceError where a device has too little memory."""
        refuse_too_much(self.settings.stage, self._plan, " to train")

    def run(self, tell: Tell | None = None) -> TrainingRecord:
        """Train.

        Args:
            tell: Called after each step.

        Raises:
            InterruptedRun: Ctrl-C; what was done is saved.
            AnimeGenError: As the class says.
        """
        plan, work = self._plan, self._work
        self.check()
        material = {"path": str(self.material.absolute()), "sha256": plan.digest, "found": plan.material}
        record = TrainingRecord.of(self.settings, plan, self._identity(plan), material, self._earlier)
        if self._earlier:
            record.step, record.loss = self._earlier["step"], self._earlier["loss"]
        self.out.mkdir(parents=True, exist_ok=True)
        stopped = "stopped; what was saved last is kept."
        with recorded(record, self.out, stopped, written=primary()), Losses(self.out / LOSSES) as losses:

            def told(step: TrainingStep) -> None:
                record.step, record.loss = step.step, step.loss
                losses.add(step)
                if tell:
                    tell(step)

            with work.blame():
                result = work.stage(self.material, self.out, self.order, told)
            record.step = result.step
            record.loss = record.loss if result.loss is None else result.loss
            record.finish(result, self.out, work.warnings)
        return record

    @cached_property
    def _plan(self) -> TrainingPlan:
        self._work.check()
        plan: TrainingPlan = self._work.plan(self.material, self.order)
        if self._earlier and (told := differences(self._earlier["identity"], self._identity(plan))):
            raise UsageError(
                f"{self.out} holds another training: {told}.",
                hint="to begin a new one, name another folder: --out DIR",
            )
        return plan

    def _identity(self, plan: TrainingPlan) -> dict[str, Any]:
        return self._work.identity({"material": plan.digest})
