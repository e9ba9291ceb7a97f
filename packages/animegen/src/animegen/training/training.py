"""A training from its settings to what it leaves in a folder, with the record of it.

DIR/
  train.json     how to do it again, and how far it came
  loss.csv       step, loss, learning rate
  ...            what the trainer saves
"""

from __future__ import annotations

import csv
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from animegen.atomic import write_bytes
from animegen.errors import AnimeGenError, InputError, InterruptedRun, ResourceError, UsageError
from animegen.memory import in_words
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext, blame, check_files
from animegen.registry import check_libraries, import_target
from animegen.settings.resolve import Choice
from animegen.training.documents import TrainingRecord, identity, read_training
from animegen.training.options import KIND, TrainSettings
from animegen.training.records import TrainingPlan, TrainingStep
from animegen.weights.store import WeightStore

log = logging.getLogger("animegen")

LOSSES = "loss.csv"
Tell = Callable[[TrainingStep], None]


def primary() -> bool:
    """Whether this process is the one that writes and speaks, where several share a training."""
    return os.environ.get("RANK", "0") == "0"


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
        settings: TrainSettings,
        material: Path,
        out: Path,
        *,
        resume: bool = False,
        force: bool = False,
        reporter: Reporter | None = None,
        weights: WeightStore | None = None,
    ) -> None:
        self.settings, self.material, self.out = settings, material, out
        self.reporter = reporter or Reporter()
        self._weights = weights or WeightStore()
        if not material.exists():
            raise InputError(f"{material} is not here.", hint=f"MATERIAL is {settings.spec.material}")
        self._earlier = read_training(out)
        if self._earlier is not None and not (resume or force):
            done, steps = self._earlier["step"], self._earlier["train"]["steps"]["value"]
            raise UsageError(
                f"{out} holds a training already ({done} of {steps} steps, {self._earlier['status']}).",
                hint=("--resume goes on with it; --force begins anew", "or name another folder: --out DIR"),
            )
        # Where nothing was begun, there is nothing to go on from: the first run of a command that always says --resume.
        self.order = settings.train.values.order(resume=resume and self._earlier is not None)
        self._choice = Choice(KIND, settings.trainer, settings.options, "command line")  # type: ignore[arg-type]
        self._context = StageContext(
            settings.trainer, settings.train.values.devices, settings.train.values.dtype, self._weights, self.reporter
        )
        self._trainer: Any = None
        self._plan: TrainingPlan | None = None

    def plan(self) -> list[tuple[str, str]]:
        """What would be done, as (label, text); looks at the material and loads nothing.

        Raises:
            MissingError: A library or a file of weights is not here.
            InputError: The material cannot be read, or is not what it was.
            UsageError: The options do not go together, or are not those of the training to be taken up.
        """
        plan, train = self._planned(), self.settings.train.values
        told = [("plan", f"{self.settings.trainer.name} {self.settings.trainer.plugin.version}: {plan.summary}")]
        told += [("from", plan.material), *plan.lines]
        done = f", {self._earlier['step']} of them done" if self.order.resume and self._earlier else ""
        told.append(("steps", f"{train.steps:,}{done}; seed {train.seed}; {train.device}, {train.dtype}"))
        for demand in plan.demands:
            what = f" ({demand.what})" if demand.what else ""
            free = f" ({in_words(demand.have)} free)" if demand.have is not None else ""
            told.append(("need", f"{in_words(demand.need)} on {demand.device}{what}{free}"))
        return told + [("note", text) for text in (*plan.warnings, *self._context.warnings)]

    def check(self) -> None:
        """Refuse what cannot go well. Raises ResourceError where a device has too little memory."""
        plan = self._planned()
        for demand in plan.demands:
            if demand.have is not None and demand.need > demand.have:
                raise ResourceError(
                    f"{self.settings.trainer.name} needs {in_words(demand.need)} on {demand.device} to train; "
                    f"{in_words(demand.have)} are free.",
                    hint=plan.hint or (),
                )

    def run(self, tell: Tell | None = None) -> TrainingRecord:
        """Train.

        Args:
            tell: Called after each step.

        Raises:
            InterruptedRun: Ctrl-C; what was done is saved.
            AnimeGenError: As the class says.
        """
        plan = self._planned()
        self.check()
        record = TrainingRecord.of(
            self.settings,
            self.material,
            plan,
            self._identity(plan),
            self._weight_digests(),
            self._earlier if self.order.resume else None,
        )
        with self._recorded(record), _Losses(self.out / LOSSES) as losses:

            def told(step: TrainingStep) -> None:
                record.step, record.loss = step.step, step.loss
                losses.add(step)
                if tell:
                    tell(step)

            with blame(self._choice, smaller="a smaller size or batch, or "):
                result = self._trainer(self.material, self.out, self.order, told)
            record.step, record.status = result.step, "done"
            record.loss = record.loss if result.loss is None else result.loss
            record.outputs = [os.path.relpath(path, self.out) for path in result.files]
            record.use, record.facts = result.use, {**record.facts, **result.facts}
            record.warnings += [text for text in self._context.warnings if text not in record.warnings]
        return record

    def _planned(self) -> TrainingPlan:
        if self._plan is None:
            check_libraries(self.settings.trainer)
            check_files(self._choice)
            target = import_target(self.settings.trainer)
            with blame(self._choice):
                self._trainer = target(self.settings.options.values, self._context)
                plan: TrainingPlan = self._trainer.plan(self.material, self.order)
            if self.order.resume and self._earlier is not None:
                self._must_be_same(self._identity(plan), self._earlier["identity"])
            self._plan = plan
            for weight in self.settings.spec.weights_for(self.settings.options.values):
                self._weights.path(self.settings.trainer.plugin.name, weight)
        return self._plan

    def _identity(self, plan: TrainingPlan) -> dict[str, Any]:
        return identity(self.settings, plan.digest, self._weight_digests())

    def _weight_digests(self) -> dict[str, str]:
        found = {}
        for weight in self.settings.spec.weights_for(self.settings.options.values):
            status = self._weights.status(self.settings.trainer.plugin.name, weight)
            if digest := weight.sha256 or status.sha256 or weight.md5:
                found[weight.file] = digest
        return found

    def _must_be_same(self, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
        different = [name for name in now if now[name] != then.get(name)]
        if not different:
            return
        told = [
            f"{name} was {then.get(name)} and is {now[name]}"
            if name not in ("material", "weights", "files")
            else f"the {name} changed"
            for name in different
        ]
        raise UsageError(
            f"{self.out} holds another training: {'; '.join(told)}.",
            hint="to begin a new one, name another folder: --out DIR",
        )

    @contextmanager
    def _recorded(self, record: TrainingRecord) -> Iterator[None]:
        """Keep train.json true, however the training ends; only one process writes it."""
        self.out.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        _save(record, self.out)
        try:
            yield
        except (KeyboardInterrupt, InterruptedRun) as error:
            record.status, record.error = "interrupted", str(error) or "stopped by the user"
            if isinstance(error, InterruptedRun):
                raise
            raise InterruptedRun("stopped; what was saved last is kept.") from None
        except Exception as error:
            record.status, record.error = "failed", str(error)
            raise
        finally:
            record.seconds = round(record.seconds + time.monotonic() - began, 3)
            try:
                _save(record, self.out)
            except AnimeGenError as error:  # a full disk must not hide the error that brought us here
                log.error("%s", error)


def _save(record: TrainingRecord, folder: Path) -> None:
    if primary():
        write_bytes(folder / record.FILE, record.to_json().encode())


class _Losses:
    """``loss.csv``: a row for each step. Rows of steps that are made once more are dropped first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def add(self, step: TrainingStep) -> None:
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

    def __enter__(self) -> _Losses:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
