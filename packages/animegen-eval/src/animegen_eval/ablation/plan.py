"""Work items of a study, stage by stage: what is the same in several configurations is one item.

Two configurations share an item of a stage when everything up to and with that stage is the same in both; so eight
configurations of balloon removal × preprocessing × upsampling have four samplings a pair. What happens to be the same
only for some pairs (a panel without balloons) is found by content, when its turn comes: the store has it already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from animegen.atomic import write_bytes
from animegen.media import Panel, Strip
from animegen.pipeline.hashing import json_digest
from animegen.pipeline.pipeline import Pipeline
from animegen.pipeline.record import settings_tables
from animegen.pipeline.runfolder import CACHE
from animegen_eval.ablation.choice import Candidate, pair_record
from animegen_eval.ablation.design import Cell
from animegen_eval.ablation.study import ITEMS, Study

WRITE = "write"
"""The last stage: clips, contact sheets and records from what is in the store."""
_VERSION = 1
_ROLES = {
    "detect": "detector",
    "inpaint": "inpainter",
    "preprocess": "preprocessor",
    "interpolate": "interpolator",
    "upsample": "upsampler",
}
_OPTIONS = {
    "detect": (),
    "inpaint": ("grow", "keep_balloon"),
    "preprocess": (),
    "interpolate": ("frames", "size", "loop", "prompt", "seed"),
    "upsample": ("factor",),
}
"""Options of a run that decide what a step gives, beside its stage."""


@dataclass(frozen=True)
class Item:
    """One piece of work, independent of all others of its stage.

    Attributes:
        hash: Of everything that it depends on; its name on disk.
        step: ``detect``, ``inpaint``, ``preprocess``, ``interpolate``, ``upsample`` or `WRITE`.
        cell: Code of a configuration that it is done for.
        cells: Codes of all configurations that it is part of.
        pair: Number of the pair, from 0.
    """

    hash: str
    step: str
    cell: str
    cells: tuple[str, ...]
    pair: int


@dataclass(frozen=True)
class Stage:
    """All items of a step.

    Attributes:
        step: The step.
        items: Pair by pair.
        separate: Items there would be if configurations shared nothing.
    """

    step: str
    items: tuple[Item, ...]
    separate: int


class Done:
    """Which items are done: a small file for each, written when it is.

    Args:
        study: The study. Clips are its own; results of stages belong to all that share the store.
        out: The folder of all runs.
    """

    def __init__(self, study: Study, out: Path) -> None:
        self._study, self._out = study, out

    def __contains__(self, item: Item) -> bool:
        return self._path(item).is_file()

    def add(self, item: Item, facts: Mapping[str, Any]) -> None:
        write_bytes(self._path(item), json.dumps({"step": item.step, **facts}).encode())

    def _path(self, item: Item) -> Path:
        folder = self._study.folder / ITEMS if item.step == WRITE else self._out / CACHE / ITEMS
        return folder / item.hash[:2] / f"{item.hash[2:]}.json"


def stages(pipelines: Mapping[str, Pipeline], pairs: Sequence[Candidate]) -> list[Stage]:
    """Every stage of a study with its items, in the order in which they are done.

    Args:
        pipelines: By code of the cell.
        pairs: The pairs.
    """
    inputs = [_inputs(pair) for pair in pairs]
    steps = {code: steps_of(pipeline) for code, pipeline in pipelines.items()}
    found = []
    for step in _ROLES:
        groups: dict[str, list[str]] = {}
        for code, pipeline in pipelines.items():
            if step in steps[code]:
                groups.setdefault(_prefix(pipeline, steps[code], step), []).append(code)
        if not groups:
            continue
        items = tuple(
            Item(json_digest([_VERSION, step, key, own]), step, codes[0], tuple(codes), number)
            for number, own in enumerate(inputs)
            for key, codes in groups.items()
        )
        found.append(Stage(step, items, len(pairs) * sum(map(len, groups.values()))))
    writing = tuple(
        Item(json_digest([_VERSION, WRITE, code, mark(pipeline), own]), WRITE, code, (code,), number)
        for number, own in enumerate(inputs)
        for code, pipeline in pipelines.items()
    )
    return [*found, Stage(WRITE, writing, len(writing))]


def mark(pipeline: Pipeline) -> str:
    """Hash of everything that decides a configuration's clips, beside the panels."""
    steps = steps_of(pipeline)
    run = settings_tables(pipeline.settings)["run"]
    beside = {"detector", "inpainter", "preprocessor", "interpolator", "upsampler", "max_pixels", "factor"}
    shown = {name: value for name, value in run.items() if name not in beside}
    return json_digest([_prefix(pipeline, steps, steps[-1]), shown])


def steps_of(pipeline: Pipeline) -> list[str]:
    """The steps that a configuration takes, whatever the panels are."""
    return [name for name, _ in pipeline.job(_ANY).planned()]


_BLANK = np.zeros((1, 1, 3), np.uint8)
_ANY = Strip((Panel(_BLANK), Panel(_BLANK)))


def _prefix(pipeline: Pipeline, steps: Sequence[str], last: str) -> str:
    """Hash of everything up to and with a step, beside the panels."""
    run = settings_tables(pipeline.settings)["run"]
    parts: list[Any] = []
    for step in steps[: steps.index(last) + 1]:
        choices = [choice for choice in pipeline.settings.taking_part if choice.role == _ROLES[step]]
        options = {name: run[name] for name in _OPTIONS[step]}
        parts.append([step, [pipeline.identity(choice) for choice in choices], options])
    return json_digest(parts)


def _inputs(pair: Candidate) -> str:
    record = pair_record(pair)
    return json_digest([record["prompt"], record["sha256"]])


def cell_pipelines(first: Pipeline, cells: Sequence[Cell], layers: Sequence[Any]) -> dict[str, Pipeline]:
    """A pipeline for each cell, all beside `first`: they share its results and its open stages."""
    return {cell.code: Pipeline(layers=[*layers, cell.layer], beside=first) for cell in cells}
