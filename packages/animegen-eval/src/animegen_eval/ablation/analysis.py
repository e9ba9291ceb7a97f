"""What an ablation's tables say: effects of every factor, interactions, and what a frame rate alone does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from animegen.errors import InputError
from animegen_eval.ablation.design import AblationDesign
from animegen_eval.controls import REPEAT
from animegen_eval.rows import Row
from animegen_eval.statistics.design import Cell
from animegen_eval.statistics.factorial import FactorialResult, analyse, joint_holm
from animegen_eval.statistics.records import Resampling
from animegen_eval.statistics.relative import Better, RelativeChange, relative_change

AT_EQUAL_TIMES = {"frame": "middles", "step": "steps", "clip": "clip"}
"""The variant of each scope that all cells have at the same times."""
NATIVE = "native"


@dataclass(frozen=True)
class FrameRate:
    """A number from step to step, of one cell against the baseline, at equal times and at each clip's own frame rate.

    Attributes:
        quantity: Its name.
        unit: Unit.
        better: Direction.
        cell: Code of the cell.
        factor: How many times the baseline's steps the cell has.
        equal: Change at equal times.
        native: Change at each clip's own frame rate: what is often published.
        repeated: Change of the baseline itself when each of its frames is shown `factor` times: what the frame rate
            alone does, without a single new picture.
    """

    quantity: str
    unit: str
    better: Better
    cell: str
    factor: int
    equal: RelativeChange
    native: RelativeChange
    repeated: RelativeChange


@dataclass(frozen=True)
class Analysis:
    """Everything that is said of a study.

    Attributes:
        effects: A result for each quantity, with Holm's correction over all effects of all of them.
        frame_rates: Numbers from step to step, at equal times, at their own, and of the control.
        skipped: Quantities without an analysis, with the reason.
        pairs: Number of pairs that were scored.
        titles: Number of titles that they come from.
    """

    effects: tuple[FactorialResult, ...]
    frame_rates: tuple[FrameRate, ...]
    skipped: Mapping[str, str]
    pairs: int
    titles: int


def analyse_study(design: AblationDesign, rows: Sequence[Row], resampling: Resampling | None = None) -> Analysis:
    """Analyse every quantity of a study's table of clips.

    Args:
        design: Its factors.
        rows: A row for every clip and variant.
        resampling: Draws and seeds.
    """
    how = resampling or Resampling()
    systems = [row for row in rows if not row.control]
    titles = {row.clip: row.title for row in systems}
    several = len(set(titles.values())) > 1
    levels: dict[str, Cell] = {cell.code: cell.levels for cell in design.cells}
    results: list[FactorialResult] = []
    skipped: dict[str, str] = {}
    for name, own in _by_quantity(systems).items():
        table: dict[str, dict[Cell, float | None]] = {}
        for row in own:
            table.setdefault(row.clip, {})[levels[row.config]] = row.value
        if not design.full:
            skipped[name] = "only some configurations were made, so effects cannot be told apart"
            continue
        try:
            better = cast("Better", own[0].better)
            results.append(
                analyse(
                    design.statistics,
                    table,
                    metric=name,
                    better=better,
                    titles=titles if several else None,
                    resampling=how,
                )
            )
        except InputError as error:
            reasons = dict.fromkeys(row.missing for row in own if row.missing)
            skipped[name] = "; ".join(reasons) or " ".join([error.message, *error.hints[:1]])
    together = joint_holm(results) if results else ()
    rates = tuple(_frame_rates(design, rows, how))
    return Analysis(together, rates, skipped, len(titles), len(set(titles.values())))


def _by_quantity(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.variant == AT_EQUAL_TIMES.get(row.scope):
            found.setdefault(row.quantity, []).append(row)
    return found


def _frame_rates(design: AblationDesign, rows: Sequence[Row], how: Resampling) -> list[FrameRate]:
    base = design.cells[0].code
    steps = [row for row in rows if row.scope == "step"]
    found = []
    for name in dict.fromkeys(row.quantity for row in steps):
        own = [row for row in steps if row.quantity == name]
        equal = _column(own, "steps")
        native, repeat = _column(own, NATIVE), _column(own, NATIVE, control=True)
        for cell in design.cells[1:]:
            counts = {row.config: row.steps for row in own if row.variant == NATIVE and not row.control}
            if not counts.get(base) or not counts.get(cell.code) or counts[cell.code] == counts[base]:
                continue
            factor = (counts[cell.code] or 0) // (counts[base] or 1)
            again = f"{REPEAT} {base}"
            shown = {row.steps for row in own if row.variant == NATIVE and row.config == again}
            table = [equal.get(base), equal.get(cell.code), native.get(base), native.get(cell.code), repeat.get(again)]
            if shown != {counts[cell.code]} or any(column is None for column in table):
                continue  # the control has another frame rate than this cell, and so says nothing of it
            changes = _changes([column for column in table if column is not None], own[0].better, how)
            if changes:
                better = cast("Better", own[0].better)
                found.append(FrameRate(name, own[0].unit, better, cell.code, factor, *changes))
    return found


def _column(rows: Sequence[Row], variant: str, *, control: bool = False) -> dict[str, dict[str, float]]:
    """Finite values by system and clip."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.variant == variant and row.control is control and row.value is not None and np.isfinite(row.value):
            found.setdefault(row.config, {})[row.clip] = row.value
    return found


def _changes(
    columns: Sequence[Mapping[str, float]], better: str, how: Resampling
) -> tuple[RelativeChange, RelativeChange, RelativeChange] | None:
    clips = [clip for clip in columns[0] if all(clip in column for column in columns)]
    if not clips:
        return None
    values = [np.array([column[clip] for clip in clips]) for column in columns]
    direction = cast("Better", better)
    return (
        relative_change(values[1], values[0], direction, how),
        relative_change(values[3], values[2], direction, how),
        relative_change(values[4], values[2], direction, how),
    )
