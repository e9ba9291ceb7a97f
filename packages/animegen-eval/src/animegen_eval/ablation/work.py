"""Items at work: one process's pipelines, one for each configuration, all beside one another."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animegen.errors import AnimeGenError, InterruptedRun
from animegen.media import Strip
from animegen.pipeline.inputs import load_panel, read_text_boxes
from animegen.pipeline.pipeline import Pipeline
from animegen.pipeline.progress import Reporter
from animegen.registry import Registry
from animegen.settings.layers import ConfigLayer
from animegen_eval.ablation.choice import Candidate
from animegen_eval.ablation.design import Cell
from animegen_eval.ablation.plan import WRITE, Done, Item, cell_pipelines
from animegen_eval.ablation.study import Study

_KEPT = 2  # pairs in memory: a unit of work stays with one


@dataclass(frozen=True)
class Order:
    """All that a process needs to work on a study; picklable.

    Attributes:
        layers: Settings of all configurations, weakest first.
        cells: The configurations.
        pairs: The pairs.
        out: Folder of all runs, with the store.
        study: The study.
    """

    layers: tuple[ConfigLayer, ...]
    cells: tuple[Cell, ...]
    pairs: tuple[Candidate, ...]
    out: Path
    study: Study


@dataclass(frozen=True)
class Outcome:
    """What became of the items of one pair in one stage.

    Attributes:
        pair: Number of the pair.
        done: Items done now.
        made: Results made, by role; those that the store had are not in it.
        seconds: Time it took.
        error: Why the pair failed, with `hints`; empty where it did not.
        warnings: Of damaged results; what stages warn of stands in each run.json.
    """

    pair: int
    done: int
    made: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    hints: tuple[str, ...] = ()
    exit_code: int = 0
    warnings: tuple[str, ...] = ()


class _Heard(Reporter):
    """Gathers what a process says of damaged results, for the one that tells."""

    def __init__(self) -> None:
        self.damaged: list[str] = []

    def warned(self, message: str) -> None:
        if message.startswith("a kept result"):
            self.damaged.append(message)

    def take(self) -> tuple[str, ...]:
        taken, self.damaged = tuple(self.damaged), []
        return taken


class Bench:
    """Does items, and lets go of a stage's model when the next stage begins.

    Args:
        order: The study.
        registry: Plugins to choose from; those that are installed otherwise.
        devices: Lent to stages; those of the settings otherwise.
    """

    def __init__(
        self,
        order: Order,
        *,
        registry: Registry | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        self._order = order
        layers = [*order.layers, order.cells[0].layer]
        self._heard = _Heard()
        self._first = Pipeline(layers=layers, out=order.out, registry=registry, reporter=self._heard, devices=devices)
        self.pipelines = cell_pipelines(self._first, order.cells, order.layers)
        self.finished = Done(order.study, order.out)
        self._strips: dict[int, tuple[Strip, dict[str, Any]]] = {}
        self._step = ""

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._first.let_go()

    def do(self, items: Sequence[Item]) -> Outcome:
        """Do the items of one pair and one stage.

        Raises:
            KeyboardInterrupt, InterruptedRun: Ctrl-C.
        """
        started, number, done = time.perf_counter(), items[0].pair, 0
        if items[0].step != self._step:  # one model in memory at a time, opened once for all its items
            self._first.let_go()
            self._step = items[0].step
        before = self._made()
        try:
            for item in items:
                self._one(item)
                done += 1
        except (KeyboardInterrupt, InterruptedRun):
            raise
        except Exception as error:
            told = error if isinstance(error, AnimeGenError) else None
            text = told.message if told else f"a bug: {type(error).__name__}: {error}"
            hints, code = (told.hints, told.exit_code) if told else ((), 1)
            spent = time.perf_counter() - started
            return Outcome(number, done, dict(self._made() - before), spent, text, hints, code, self._heard.take())
        spent = time.perf_counter() - started
        return Outcome(number, done, dict(self._made() - before), spent, warnings=self._heard.take())

    def strip(self, number: int) -> tuple[Strip, dict[str, Any]]:
        """The panels of a pair, and the facts about them for run.json.

        Raises:
            AnimeGenError: A file is absent, or no picture.
        """
        if number not in self._strips:
            while len(self._strips) >= _KEPT:
                self._strips.pop(next(iter(self._strips)))
            limit = self._first.settings.run.values.max_pixels
            self._strips[number] = load_pair(self._order.pairs[number], limit)
        return self._strips[number]

    def _one(self, item: Item) -> None:
        if item in self.finished:
            return
        strip, facts = self.strip(item.pair)
        pipeline = self.pipelines[item.cell]
        if item.step == WRITE:
            self._write(item, pipeline, strip, facts)
            self.finished.add(item, {})
            return
        job = pipeline.job(strip)
        for step, _ in job.planned():  # those before it are in the store
            job.take(step)
            if step == item.step:
                break
        results = [record.output for record in job.records if record.role == job.records[-1].role]
        self.finished.add(item, {"results": results})

    def _write(self, item: Item, pipeline: Pipeline, strip: Strip, facts: dict[str, Any]) -> None:
        folders = {cell.code: self._folder(cell.code, item.pair) for cell in self._order.cells}
        folder = folders.pop(item.cell)
        pipeline.run(strip, resume=True, inputs=facts, folder=folder, twins=[*folders.values()])

    def _folder(self, cell: str, number: int) -> Path:
        return self._order.study.clip(cell, number, self._order.pairs[number].id)

    def _made(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for pipeline in self.pipelines.values():
            total.update({str(role): count for role, count in pipeline.made.items()})
        return total


def load_pair(pair: Candidate, max_pixels: int) -> tuple[Strip, dict[str, Any]]:
    """The panels of a pair, and the facts about them for run.json.

    Raises:
        AnimeGenError: A file is absent, or no picture, or no file of text boxes.
    """
    boxes = read_text_boxes(pair.text_boxes) if pair.text_boxes else {}
    panels, facts = [], {}
    for name, path in (("first", pair.first), ("last", pair.last)):
        panel, facts[name] = load_panel(path, role=name.upper(), max_pixels=max_pixels, text_boxes=boxes.get(name))
        panels.append(panel)
    return Strip(tuple(panels), pair.prompt, pair.id), facts
