"""What a report computes: effects of every quantity of an ablation, and who is not shown to differ from the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from animegen_eval.ablation.analysis import FrameRate, analyse_study
from animegen_eval.report.material import Material
from animegen_eval.statistics.bootstrap import percentile_interval
from animegen_eval.statistics.factorial import FactorialResult
from animegen_eval.statistics.records import Interval, Resampling
from animegen_eval.summary import Figure

Line = tuple[int | None, str, str]
"""Gap, quantity and variant: what one comparison is about."""


@dataclass(frozen=True)
class Contest:
    """All systems and controls in one quantity.

    Attributes:
        figures: Systems in their order, then controls.
        best: Name of the best system; None where no direction is better, or a control has won.
        undecided: Systems whose paired difference from the best one has an interval that includes 0, or none at all.
        lead: Interval of the paired difference of the second best system from the best one.
        paired: Clips that both have.
    """

    figures: tuple[Figure, ...]
    best: str | None = None
    second: str | None = None
    undecided: tuple[str, ...] = ()
    lead: Interval | None = None
    paired: int = 0

    @property
    def first(self) -> Figure:
        """Any of its figures: for name, unit and direction."""
        return self.figures[0]

    @property
    def line(self) -> Line:
        """What it is about."""
        return self.first.gap, self.first.quantity, self.first.variant

    @property
    def disqualified(self) -> bool:
        """Whether a control has won, so that the quantity ranks nothing here."""
        return bool(self.first.beaten_by)

    @property
    def ranks(self) -> bool:
        """Whether it may rank systems."""
        return self.first.better != "none" and not self.disqualified


@dataclass(frozen=True)
class Effects:
    """What an ablation says of one quantity.

    Attributes:
        contest: The quantity.
        result: Effects; None where they cannot be computed.
        units: (N, cells) the values that they are made of.
        reason: Why there are none.
    """

    contest: Contest
    result: FactorialResult | None
    units: np.ndarray[tuple[int, int], np.dtype[np.float64]] | None = None
    reason: str = ""


def contests(material: Material) -> list[Contest]:
    """Every headline quantity: those that may rank first, then those that a control has won, then diagnostics."""
    lines: dict[Line, list[Figure]] = {}
    for figure in material.headline:
        lines.setdefault((figure.gap, figure.quantity, figure.variant), []).append(figure)
    order = {name: number for number, name in enumerate([*material.systems, *material.controls])}
    found = []
    for figures in lines.values():
        ordered = sorted(figures, key=lambda one: (one.control, order.get(one.config, len(order))))
        found.append(_decided(tuple(ordered), material))
    return sorted(found, key=lambda one: (one.line[0] or 0, one.first.better == "none", one.disqualified))


def effects(
    material: Material, found: Sequence[Contest], resampling: Resampling | None = None
) -> tuple[list[Effects], tuple[FrameRate, ...]]:
    """Effects of the factors of an ablation on each quantity, and what a frame rate alone does.

    These are the results of `animegen_eval.ablation.analysis`, so that the page says what the study's tables say.
    """
    if material.ablation is None:
        return [], ()
    analysis = analyse_study(material.ablation.study, material.rows, resampling)
    results = {result.metric: result for result in analysis.effects}
    return [_effects(material, contest, results, analysis.skipped) for contest in found], analysis.frame_rates


def unit_name(title: str, clip: str) -> str:
    """Name of a pair that no other one has."""
    return f"{title} / {clip}" if title else clip


def values(material: Material, line: Line) -> dict[str, dict[str, float | None]]:
    """By system, then by clip."""
    found: dict[str, dict[str, float | None]] = {}
    for row in material.rows:
        if not row.control and (row.gap, row.quantity, row.variant) == line:
            found.setdefault(row.config, {})[unit_name(row.title, row.clip)] = row.value
    return found


def _effects(
    material: Material, contest: Contest, results: Mapping[str, FactorialResult], skipped: Mapping[str, str]
) -> Effects:
    assert material.ablation is not None
    result = results.get(contest.first.quantity)
    if result is None:
        return Effects(contest, None, None, skipped.get(contest.first.quantity, "it is not there at equal times"))
    codes = {cell: code for code, cell in material.ablation.cells.items()}
    scores = values(material, contest.line)
    table = [
        [scores[codes[cell]].get(clip) for cell in result.design.cells]
        for clip in scores[codes[result.design.cells[0]]]
    ]
    units = np.array([row for row in table if all(value is not None and math.isfinite(value) for value in row)], float)
    return Effects(contest, result, units)


def _decided(figures: tuple[Figure, ...], material: Material) -> Contest:
    first = figures[0]
    systems = [one for one in figures if not one.control and one.mean is not None]
    contest = Contest(figures)
    if first.better == "none" or first.beaten_by or len(systems) < 2:
        return contest
    sign = -1.0 if first.better == "higher" else 1.0
    ordered = sorted(systems, key=lambda one: sign * (one.mean if one.mean is not None else math.inf))
    scores = values(material, (first.gap, first.quantity, first.variant))
    best, undecided = ordered[0].config, []
    lead, paired = None, 0
    for place, other in enumerate(ordered[1:]):
        interval, count = _difference(scores[best], scores[other.config])
        if place == 0:
            lead, paired = interval, count
        if interval is None or not interval.excludes(0.0):
            undecided.append(other.config)
    return Contest(figures, best, ordered[1].config, tuple(undecided), lead, paired)


def _difference(a: Mapping[str, float | None], b: Mapping[str, float | None]) -> tuple[Interval | None, int]:
    """Interval of the mean of b - a over the clips that both have, and their number."""
    pairs = [(a[clip], b[clip]) for clip in a if a[clip] is not None and b.get(clip) is not None]
    numbers = np.array(pairs, np.float64).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        differences = np.where(numbers[:, 0] == numbers[:, 1], 0.0, numbers[:, 1] - numbers[:, 0])
    if len(pairs) < 2 or not np.isfinite(differences).all():
        return None, len(pairs)
    return percentile_interval(np.mean, differences, over="clips"), len(pairs)
