"""Stages at work: imported when first used, called under checks, closed at the end, their results kept by hash."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from animegen.errors import AnimeGenError, InputError, MissingError, ResourceError, StageError
from animegen.options import canonical_json, describe_options, to_json
from animegen.pipeline.hashing import code_digest, file_digest, json_digest
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import StepRecord, peak_memory_mib
from animegen.pipeline.store import Entry, Store, Writer
from animegen.registry import Stage, check_libraries, import_target
from animegen.settings.resolve import Choice, Settings, named_devices
from animegen.settings.roles import Role
from animegen.weights.store import WeightStore

log = logging.getLogger("animegen")
T = TypeVar("T")

SMALLER = "a smaller --size, or "
"""What needs less memory than the pictures of a run."""


@dataclass
class StageContext:
    """What a stage is lent; see `animegen.stages.Context`."""

    stage: Stage
    devices: tuple[str, ...]
    dtype: str
    weights: WeightStore
    reporter: Reporter
    untrained: bool = False
    warnings: list[str] = field(default_factory=list)

    def weight(self, file: str) -> Path:
        if self.untrained:
            raise StageError(f"{self.stage.full_name} asked for {file!r}, but it runs untrained, without weights.")
        for weight in self.stage.spec.weights:
            if weight.file == file:
                return self.weights.path(self.stage.plugin.name, weight)
        raise StageError(f"{self.stage.full_name} asked for {file!r}, which is not among its weights.")

    def progress(self, done: int, total: int, unit: str = "steps") -> None:
        self.reporter.progress(done, total, unit)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


Opened = dict[tuple[str, ...], tuple[Any, StageContext]]
"""Stages that are open, by role, name and settings: of one session, or of several that take turns."""


class Session:
    """Opens each stage once, runs pieces of work through it, and keeps their results in a store.

    Args:
        settings: What to run.
        store: Where results lie.
        weights: Where weights lie.
        reporter: Told what happens.
        smaller: See `blame`.
        opened: Where open stages are kept; sessions with the same one open a stage with the same options once.
        devices: Those lent to stages in place of the ones that the settings name. A result does not depend on which
            of several equal devices made it, so it keeps its name.

    Attributes:
        made: Results made so far, and not taken from the store, by role.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        weights: WeightStore,
        reporter: Reporter | None = None,
        smaller: str = SMALLER,
        opened: Opened | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.store = store
        self.reporter = reporter or Reporter()
        self._weights, self._smaller = weights, smaller
        self._part, self._part_name = (0, 1), ""
        self._open: Opened = {} if opened is None else opened
        self._devices = tuple(devices)
        self.made: dict[Role, int] = {}

    def identity(self, choice: Choice) -> dict[str, Any]:
        """What makes a stage give the result it gives: name, version, code, options, weights, number format."""
        run = self.settings.run.values
        spec = choice.stage.spec
        return {
            "stage": choice.stage.full_name,
            "version": choice.stage.plugin.version,
            "code": code_digest(spec.target.partition(":")[0]),
            "options": to_json(choice.options.values),
            "files": named_files(choice.options.values),
            "weights": self.weight_digests(choice),
            "untrained": self.settings.untrained(choice),
            "number_format": [run.device, run.dtype] if spec.weights else [],
        }

    def weight_digests(self, choice: Choice) -> dict[str, str]:
        """Published or measured digests of the weights that a stage loads; none where it runs untrained."""
        return {} if self.settings.untrained(choice) else weight_digests(choice, self._weights)

    def check(self, choice: Choice) -> None:
        """Whether a stage could be opened, as far as that is known without importing or reading anything large.

        Raises:
            MissingError: A library or a file of weights it loads is not here.
            InputError: A file that an option names is not here, or cannot be read.
        """
        check_libraries(choice.stage)
        check_files(choice)
        if self.settings.untrained(choice):
            return
        plugin = choice.stage.plugin.name
        for weight in choice.stage.spec.weights_for(choice.options.values):
            if self._weights.status(plugin, weight).state not in ("verified", "unverified"):
                self._weights.path(plugin, weight)  # raises, with the commands that bring it

    def context(self, choice: Choice) -> StageContext:
        """What a stage is lent."""
        run = self.settings.run.values
        devices = self._devices or named_devices(run.device)
        untrained = self.settings.untrained(choice)
        return StageContext(choice.stage, devices, run.dtype, self._weights, _PartReporter(self), untrained)

    @contextmanager
    def part(self, number: int, count: int, name: str = "") -> Iterator[None]:
        """As long as the block runs, what a stage reports is the `number`-th (from 0) of `count` equal parts.

        Warnings begin with the part's `name`, where it has one.
        """
        self._part, self._part_name = (number, count), name
        try:
            yield
        finally:
            self._part, self._part_name = (0, 1), ""

    def progress(self, done: int, total: int, unit: str = "steps") -> None:
        """Progress within the present part, reported as that of the whole."""
        number, count = self._part
        self.reporter.progress(number * total + done, count * total, unit)

    @property
    def idle(self) -> bool:
        """Whether no stage is open, so that all memory is as others leave it."""
        return not self._open

    def stage(self, choice: Choice) -> tuple[Any, StageContext]:
        """The stage itself, imported and made on first use."""
        options = canonical_json(to_json(choice.options.values))
        slot = (choice.role, choice.stage.full_name, options, str(self.settings.untrained(choice)))
        if slot not in self._open:
            context = self.context(choice)
            target = import_target(choice.stage)
            with blame(choice, smaller=self._smaller):
                log.debug("open %s as %s with %s", choice.stage.full_name, choice.role, choice.options.values)
                self._open[slot] = (target(choice.options.values, context), context)
        return self._open[slot]

    def close(self, role: Role | None = None) -> None:
        """Let go of the stages of one role, or of all."""
        for slot in [slot for slot in self._open if role in (None, slot[0])]:
            stage, context = self._open.pop(slot)
            if callable(closing := getattr(stage, "close", None)):
                try:
                    closing()
                except Exception:
                    log.exception("%s failed to close", context.stage.full_name)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self, choice: Choice) -> StepRecord:
        """An empty record of a stage's work on one pair."""
        return StepRecord(
            role=choice.role,
            stage=choice.stage.full_name,
            version=choice.stage.plugin.version,
            options=choice.options.as_record(),
            weights=self.weight_digests(choice),
            devices=self.settings.run.values.device.split(","),
            cached=True,
        )

    def make(
        self,
        choice: Choice,
        record: StepRecord,
        inputs: Sequence[str],
        work: Callable[[Any, Writer], Mapping[str, Any]],
        **facts: Any,
    ) -> Entry:
        """One piece of work: taken from the store, or done by the stage and kept there.

        Args:
            choice: The stage.
            record: Gathers time, digests and warnings of every piece.
            inputs: Digests of what goes in.
            work: ``work(stage, writer)`` puts images and returns facts to keep with them.
            facts: Whatever else decides the result (times, seed, prompt ...), as JSON values.
        """
        started = time.perf_counter()
        key = json_digest({"role": choice.role, **self.identity(choice), "inputs": list(inputs), "facts": facts})
        entry = self.store.get(key)
        if entry is None:
            if self.store.damaged(key):
                self.reporter.warned(f"a kept result of {choice.stage.name} is damaged and is made again ({key[:12]})")
            with self.store.write(key) as writer:
                entry = self.store.get(key)  # another process may have made it while this one waited
                if entry is None:
                    record.cached = False
                    stage, context = self.stage(choice)
                    context.warnings = []
                    with blame(choice, smaller=self._smaller):
                        info = work(stage, writer)
                    entry = writer.finish({**info, "warnings": context.warnings})
                    self.made[choice.role] = self.made.get(choice.role, 0) + 1
        record.input += inputs
        record.output.append(entry.digest)
        record.seconds = round(record.seconds + time.perf_counter() - started, 4)
        record.peak_memory_mib = peak_memory_mib()
        for warning in entry.info.get("warnings", ()):
            message = f"{self._part_name}: {warning}" if self._part_name else warning
            if message not in record.warnings:
                record.warnings.append(message)
        return entry


class _PartReporter(Reporter):
    """Hands a stage's progress to its session, which knows which part it is of."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def progress(self, done: int, total: int, unit: str) -> None:
        self._session.progress(done, total, unit)


def weight_digests(choice: Choice, weights: WeightStore) -> dict[str, str]:
    """Published or measured digests of the weights that a stage loads with these options."""
    found = {}
    for weight in choice.stage.spec.weights_for(choice.options.values):
        status = weights.status(choice.stage.plugin.name, weight)
        if digest := weight.sha256 or status.sha256 or weight.md5:
            found[weight.file] = digest
    return found


def named_files(options: Any) -> dict[str, str]:
    """Digests of the files that options name: a result depends on their bytes, not on where they lie."""
    named = {info.name: getattr(options, info.name) for info in describe_options(type(options)) if info.file}
    return {name: file_digest(path) for name, value in named.items() if value and (path := Path(value)).is_file()}


def check_files(choice: Choice) -> None:
    """Whether every file that options name can be read. Raises InputError with the option and where it came from."""
    for info in describe_options(choice.stage.spec.options):
        value = getattr(choice.options.values, info.name)
        if not (info.file and value):
            continue
        path = Path(value)
        if path.is_file() and os.access(path, os.R_OK):
            continue
        wrong = "cannot be read" if path.is_file() else "is not a file" if path.exists() else "is not here"
        source = choice.options.sources[info.name]
        raise InputError(
            f"{choice.stage.name}.{info.name} of the {choice.role} is {value} (from {source}), which {wrong}.",
            hint=() if path.is_absolute() else f"it was looked for in {path.absolute().parent}",
        )


@contextmanager
def blame(choice: Choice, *, smaller: str = SMALLER) -> Iterator[None]:
    """Turn whatever a stage raises into one line that names it; the traceback goes to the log.

    Args:
        choice: The stage.
        smaller: What else than the stage's own options can be made smaller where memory does not suffice.
    """
    name = choice.stage.full_name
    try:
        yield
    except AnimeGenError:
        raise
    except MemoryError as error:
        raise _out_of_memory(name, choice.role, str(error), smaller) from error
    except ImportError as error:
        raise MissingError(
            f"{name} could not be imported: {error}.",
            hint=f"animegen plugins check {choice.stage.plugin.short_name}",
        ) from error
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or "Insufficient memory" in str(error):
            raise _out_of_memory(name, choice.role, str(error), smaller) from error
        log.exception("%s raised in %s", name, choice.role)
        text = " ".join(str(error).split())
        raise StageError(
            f"{name} ({choice.role}) raised {type(error).__name__}: {text}",
            hint=f"this is a bug in the stage; try: animegen plugins check {choice.stage.plugin.short_name}",
        ) from error


def _out_of_memory(name: str, role: str, text: str, smaller: str) -> ResourceError:
    text = " ".join(text.split())
    return ResourceError(
        f"out of memory in {role} ({name}){f': {text[:200]}' if text else ''}.",
        hint=(
            f"try {smaller}a smaller setting of the stage: animegen plugins show {name}",
            "what is finished is kept; the same command with --resume goes on from it",
        ),
    )
