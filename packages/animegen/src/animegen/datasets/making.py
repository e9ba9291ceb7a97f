"""A dataset from its settings to a folder that a training reads, with the record of it.

DIR/
  data.json      how to do it again, and what came of it
  ...            what the maker writes
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from animegen.atomic import write_bytes
from animegen.datasets.documents import DataRecord, identity, read_dataset
from animegen.datasets.options import KIND, DataSettings
from animegen.datasets.records import DataPlan
from animegen.errors import AnimeGenError, InputError, InterruptedRun, ResourceError, UsageError
from animegen.memory import in_words
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext, blame, check_files
from animegen.pipeline.store import disk_error
from animegen.registry import check_libraries, import_target
from animegen.settings.resolve import Choice
from animegen.weights.store import WeightStore

log = logging.getLogger("animegen")

GO_ON = "the same command goes on from there"
LOCK = ".lock"


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
        settings: DataSettings,
        material: Sequence[Path],
        out: Path,
        *,
        force: bool = False,
        reporter: Reporter | None = None,
        weights: WeightStore | None = None,
    ) -> None:
        self.settings, self.material, self.out, self._force = settings, tuple(material), out, force
        self.reporter = reporter or Reporter()
        self._weights = weights or WeightStore()
        for path in material:
            if not path.exists():
                raise InputError(f"{path} is not here.", hint=f"MATERIAL is {settings.spec.material}")
        self._earlier = read_dataset(out)
        if self._earlier is None and out.is_dir() and any(path.name != LOCK for path in out.iterdir()):
            raise UsageError(f"{out} holds something else than a dataset.", hint="name another folder: --out DIR")
        self._choice = Choice(KIND, settings.maker, settings.options, "command line")  # type: ignore[arg-type]
        data = settings.data.values
        self._context = StageContext(settings.maker, data.devices, data.dtype, self._weights, self.reporter)
        self._maker: Any = None
        self._plan: DataPlan | None = None

    def plan(self) -> list[tuple[str, str]]:
        """What would be done, as (label, text); looks at the material and loads nothing.

        Raises:
            MissingError: A library or a file of weights is not here.
            InputError: The material cannot be read.
            UsageError: The options do not go together, or are not those that the folder was made with.
        """
        plan, data = self._planned(), self.settings.data.values
        told = [("plan", f"{self.settings.maker.name} {self.settings.maker.plugin.version}: {plan.summary}")]
        told += [("from", plan.material), *plan.lines]
        told.append(("work", f"{data.jobs} process{'es' if data.jobs > 1 else ''}; {data.device}, {data.dtype}"))
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
                    f"{self.settings.maker.name} needs {in_words(demand.need)} on {demand.device}; "
                    f"{in_words(demand.have)} are free.",
                    hint=plan.hint or (),
                )

    def run(self) -> DataRecord:
        """Make it.

        Raises:
            InterruptedRun: Ctrl-C; what is finished is kept.
            ResourceError: Another process is at work on the folder.
            AnimeGenError: As the class says.
        """
        plan = self._planned()
        self.check()
        record = DataRecord.of(self.settings, plan, self._weight_digests(), None if self._force else self._earlier)
        with _locked(self.out), self._recorded(record):
            with blame(self._choice, smaller="fewer --jobs, or "):
                result = self._maker(self.material, self.out, self.settings.data.values.order, self.reporter)
            record.status, record.summary, record.use = "done", result.summary, result.use
            record.outputs = [os.path.relpath(path, self.out) for path in result.files]
            record.facts = {**record.facts, **result.facts}
            record.warnings += [text for text in self._context.warnings if text not in record.warnings]
        return record

    def _planned(self) -> DataPlan:
        if self._plan is None:
            check_libraries(self.settings.maker)
            check_files(self._choice)
            if self._earlier is not None and not self._force:
                self._must_be_same()
            target = import_target(self.settings.maker)
            with blame(self._choice):
                self._maker = target(self.settings.options.values, self._context)
                plan: DataPlan = self._maker.plan(self.material, self.settings.data.values.order)
            self._plan = plan
            for weight in self.settings.spec.weights_for(self.settings.options.values):
                self._weights.path(self.settings.maker.plugin.name, weight)
        return self._plan

    def _weight_digests(self) -> dict[str, str]:
        found = {}
        for weight in self.settings.spec.weights_for(self.settings.options.values):
            status = self._weights.status(self.settings.maker.plugin.name, weight)
            if digest := weight.sha256 or status.sha256 or weight.md5:
                found[weight.file] = digest
        return found

    def _must_be_same(self) -> None:
        assert self._earlier is not None
        then, now = self._earlier["identity"], identity(self.settings, self._weight_digests())
        different = [name for name in now if now[name] != then.get(name)]
        if different:
            told = [
                f"{name} was {then.get(name)} and is {now[name]}"
                if name not in ("weights", "files")
                else f"the {name} changed"
                for name in different
            ]
            raise UsageError(
                f"{self.out} was made otherwise: {'; '.join(told)}.",
                hint=("name another folder: --out DIR", "or begin anew: --force"),
            )

    @contextmanager
    def _recorded(self, record: DataRecord) -> Iterator[None]:
        """Keep data.json true, however the making ends."""
        began = time.monotonic()
        if self._force and self._earlier is not None:
            _empty(self.out)
        self._save(record)
        try:
            yield
        except (KeyboardInterrupt, InterruptedRun) as error:
            record.status, record.error = "interrupted", str(error) or "stopped by the user"
            raise InterruptedRun("stopped; what is finished is kept.", hint=GO_ON) from None
        except Exception as error:
            record.status, record.error = "failed", str(error)
            raise
        finally:
            record.seconds = round(record.seconds + time.monotonic() - began, 3)
            try:
                self._save(record)
            except AnimeGenError as error:  # a full disk must not hide the error that brought us here
                log.error("%s", error)

    def _save(self, record: DataRecord) -> None:
        write_bytes(self.out / record.FILE, record.to_json().encode())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """As long as the block runs, no other process works on the folder. A killed one leaves nothing behind."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise ResourceError(
            f"another process is at work on {folder}.", hint="wait for it, or name another folder: --out DIR"
        ) from None
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        yield
    finally:
        lock.release()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
