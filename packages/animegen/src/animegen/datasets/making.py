"""A dataset from its settings to a folder that a training reads, with the record of it.

DIR/
  data.json      how to do it again, and what came of it
  ...            what the maker writes
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from animegen.datasets.options import DATA, DataOptions
from animegen.datasets.records import DataPlan
from animegen.errors import ResourceError, UsageError
from animegen.pipeline.progress import Reporter
from animegen.resumable.folder import LOCK, alone
from animegen.resumable.plan import plan_lines, refuse_too_much
from animegen.resumable.record import WorkRecord, differences, read_record, recorded
from animegen.resumable.settings import WorkSettings
from animegen.resumable.work import Work
from animegen.weights.store import WeightStore


@dataclass(kw_only=True)
class DataRecord(WorkRecord):
    """One dataset.

    Attributes:
        summary: How much it is, in a line.
    """

    summary: str = ""


class Making:
    """The making of one dataset. Call `plan`, then `run`.

    Args:
        settings: What to do.
        material: What to make it of.
        out: Folder for it. What an earlier run left there is kept and gone on with.
        force: Begin anew: what an earlier run left there is removed.
        reporter: Told what happens.
        weights: Where weights lie.

    Raises:
        InputError: Some of the material is not there.
        UsageError: The folder holds something else.
    """

    def __init__(
        self,
        settings: WorkSettings[DataOptions],
        material: Sequence[Path],
        out: Path,
        *,
        force: bool = False,
        reporter: Reporter | None = None,
        weights: WeightStore | None = None,
    ) -> None:
        self.settings, self.material, self.out = settings, tuple(material), out
        self._work = Work(settings, material, reporter, weights)
        earlier = read_record(DATA, out)
        if earlier is None and out.is_dir() and any(path.name != LOCK for path in out.iterdir()):
            raise UsageError(f"{out} holds something else than a dataset.", hint="name another folder: --out DIR")
        self._anew = force and earlier is not None
        self._earlier = None if force else earlier

    def plan(self) -> list[tuple[str, str]]:
        """What would be done, as (label, text); looks at the material and loads nothing.

        Raises:
            MissingError: A library or a file of weights is not here.
            InputError: The material cannot be read.
            UsageError: The options do not go together, or are not those that the folder was made with.
        """
        data = self.settings.values
        how = f"{data.jobs} process{'es' if data.jobs > 1 else ''}; {data.device}, {data.dtype}"
        return [*plan_lines(self.settings.stage, self._plan, ("work", how), self._work.warnings)]

    def check(self) -> None:
        """Refuse what cannot go well. Raises ResourceError where a device has too little memory."""
        refuse_too_much(self.settings.stage, self._plan)

    def run(self) -> DataRecord:
        """Make it.

        Raises:
            InterruptedRun: Ctrl-C; what is finished is kept.
            ResourceError: Another process is at work on the folder.
            AnimeGenError: As the class says.
        """
        plan, work = self._plan, self._work
        self.check()
        record = DataRecord.of(self.settings, plan, work.identity(), plan.digests, self._earlier)
        busy = ResourceError(
            f"another process is at work on {self.out}.", hint="wait for it, or name another folder: --out DIR"
        )
        with alone(self.out, busy):
            if self._anew:
                _empty(self.out)
            with recorded(
                record, self.out, "stopped; what is finished is kept.", "the same command goes on from there"
            ):
                with work.blame():
                    result = work.stage(self.material, self.out, self.settings.values.order, work.reporter)
                record.summary = result.summary
                record.finish(result, self.out, work.warnings)
        return record

    @cached_property
    def _plan(self) -> DataPlan:
        self._work.check()
        if self._earlier and (told := differences(self._earlier["identity"], self._work.identity())):
            raise UsageError(
                f"{self.out} was made otherwise: {told}.",
                hint=("name another folder: --out DIR", "or begin anew: --force"),
            )
        plan: DataPlan = self._work.plan(self.material, self.settings.values.order)
        return plan


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
