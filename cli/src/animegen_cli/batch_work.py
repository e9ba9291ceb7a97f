"""One pair of a batch, in this process or in a worker of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from animegen.errors import AnimeGenError, InterruptedRun
from animegen.pipeline.progress import Reporter
from animegen.resumable.workers import Workers
from animegen.settings.layers import ConfigLayer
from animegen_cli.pair_lists import Item

if TYPE_CHECKING:
    from animegen.pipeline.pipeline import Pipeline

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a pair.

    Attributes:
        document: As ``animegen run --json`` prints it; empty for a failed one.
        error: Why it failed, with `hints`.
        warnings: What was said about it on the way.
    """

    item: Item
    status: Status
    seconds: float = 0.0
    document: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    hints: tuple[str, ...] = ()
    exit_code: int = 0
    warnings: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """For the summary of ``--json``."""
        facts: dict[str, Any] = {
            "id": self.item.id,
            "status": self.status,
            "first": str(self.item.first),
            "last": str(self.item.last),
            "took": round(self.seconds, 2),
            "warnings": list(self.warnings),
        }
        if self.error:
            return facts | {"error": self.error, "hints": list(self.hints), "exit_code": self.exit_code}
        return facts | {"clip": self.document["clip"], "run_json": self.document["run_json"]}


class Warnings(Reporter):
    """Gathers warnings, and passes everything on to the reporter of the batch."""

    def __init__(self, inner: Reporter | None = None) -> None:
        self.inner = inner or Reporter()
        self.messages: list[str] = []

    def started(self, number: int, total: int, name: str, detail: str) -> None:
        self.inner.started(number, total, name, detail)

    def progress(self, done: int, total: int, unit: str) -> None:
        self.inner.progress(done, total, unit)

    def finished(self, name: str, summary: str, seconds: float, cached: bool) -> None:
        self.inner.finished(name, summary, seconds, cached)

    def warned(self, message: str) -> None:
        if message not in self.messages:
            self.messages.append(message)


def do_item(pipeline: Pipeline, item: Item, *, force: bool) -> Outcome:
    """Turn one pair into a clip; whatever is wrong with it becomes its outcome.

    Raises:
        InterruptedRun: Ctrl-C.
    """
    from animegen.pipeline.record import read_record
    from animegen.pipeline.runfolder import RunFolder
    from animegen_cli.results import clip_document

    started = time.perf_counter()
    told = pipeline.reporter.messages if isinstance(pipeline.reporter, Warnings) else []
    told.clear()
    try:
        pair, facts = read_item(pipeline, item)
        assert pipeline.out is not None, "a batch always writes"
        found = None if force else RunFolder.find(pipeline.out, pipeline.run_id(pair))
        if found and found[1] == "done":
            folder, status = found[0].path, "skipped"
            document = clip_document(folder, read_record(folder))
        else:
            clip = pipeline.run(pair, resume=not force, inputs=facts, label=item.id)
            assert clip.path is not None and clip.record is not None
            document, status = clip_document(clip.path.parent, clip.record), "done"
    except InterruptedRun:
        raise
    except Exception as error:
        return _failed(item, error, time.perf_counter() - started, tuple(told))
    took = time.perf_counter() - started
    return Outcome(item, "done" if status == "done" else "skipped", took, document, warnings=tuple(told))


def _failed(item: Item, error: Exception, seconds: float, told: tuple[str, ...]) -> Outcome:
    if isinstance(error, AnimeGenError):
        return Outcome(
            item,
            "failed",
            seconds,
            error=error.message,
            hints=error.hints,
            exit_code=error.exit_code,
            warnings=told,
        )
    text = f"a bug: {type(error).__name__}: {error}"
    return Outcome(item, "failed", seconds, error=text, hints=("see log.txt of its run",), exit_code=1, warnings=told)


def read_item(pipeline: Pipeline, item: Item) -> tuple[Any, dict[str, dict[str, Any]]]:
    """The pair of an item and the facts about it.

    Raises:
        AnimeGenError: As `animegen_cli.pairs.load`.
    """
    from animegen_cli import pairs

    sources = pairs.gather(
        (item.first, item.last), document=None, text_boxes=item.text_boxes, first_mask=None, last_mask=None
    )
    run = pipeline.settings.run.values
    pair, facts = pairs.load(
        sources, prompt=item.prompt or run.prompt, max_pixels=run.max_pixels, warn=pipeline.reporter.warned
    )
    return pair, facts


@dataclass(frozen=True)
class Job:
    """All that a worker process needs to make its own pipeline."""

    layers: tuple[ConfigLayer, ...]
    out: Path
    force: bool


def in_processes(job: Job, items: Sequence[Item], count: int) -> Iterator[Outcome]:
    """Outcomes as they come, from `count` processes with a pipeline each.

    Raises:
        KeyboardInterrupt: Ctrl-C; every process has ended by then.
        WorkerKilled: A process was killed.
    """
    with Workers(_work, (job,), [()] * count) as workers:
        for _, outcome in workers.do(items):
            yield outcome


def _work(job: Job) -> Callable[[Item], Outcome]:
    from animegen.pipeline.pipeline import Pipeline
    from animegen_cli.environment import installed

    pipeline = Pipeline(layers=job.layers, out=job.out, registry=installed(), reporter=Warnings(), force=job.force)
    return partial(do_item, pipeline, force=job.force)
