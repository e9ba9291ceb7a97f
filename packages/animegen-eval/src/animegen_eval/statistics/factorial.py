"""Factorial ablations, paired: every pair went through every cell, and each effect is tested over pairs.

For each pair the contrast of an effect is one number; the effect is its mean over pairs, the test a one-sample t test,
which is the repeated-measures ANOVA of that effect. Nothing is averaged over frames here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from animegen.errors import InputError
from animegen_eval.statistics.bootstrap import cluster_interval, cluster_means, percentile_interval, two_stage_interval
from animegen_eval.statistics.corrections import benjamini_hochberg, holm
from animegen_eval.statistics.design import Cell, Design
from animegen_eval.statistics.mean_test import MeanTest, mean_test
from animegen_eval.statistics.records import Dropped, Interval, Resampling
from animegen_eval.statistics.relative import Better, RelativeChange, relative_change
from animegen_eval.statistics.simple_effects import (
    Dominance,
    Reversal,
    SimpleEffect,
    dominance,
    reversals,
    simple_effects,
)

FEW_TITLES = 30
"""Below so many titles an interval over titles is unreliable (Cameron, Gelbach & Miller 2008, section 1)."""


@dataclass(frozen=True)
class TitleEffect:
    """An effect within one title: its name, number of pairs, and mean contrast."""

    title: str
    n: int
    effect: float


@dataclass(frozen=True)
class Titles:
    """How far an effect holds across titles.

    Attributes:
        effects: One a title, in the order in which they first occur.
        mean: Mean of the titles' effects, each weighing the same: what the intervals are about.
        interval: Percentile bootstrap over titles.
        two_stage: Percentile bootstrap over titles, then pairs.
        leave_one_out: Smallest and largest effect over pairs when one title is left out.
        reliable: Whether there are titles enough for the intervals to mean what they say (`FEW_TITLES`).
    """

    effects: tuple[TitleEffect, ...]
    mean: float
    interval: Interval
    two_stage: Interval
    leave_one_out: tuple[float, float]
    reliable: bool


@dataclass(frozen=True)
class Effect:
    """A main effect or an interaction.

    Attributes:
        name: As in `design.Term`.
        levels: (factor, level held against the baseline).
        test: Effect (its mean) with tests and intervals.
        p_holm: ``test.p_t`` corrected by Holm over all effects of this metric; None for a single pair.
        p_benjamini_hochberg: Likewise, for exploration.
        titles: Across titles; None with fewer than two of them.
    """

    name: str
    levels: tuple[tuple[str, str], ...]
    test: MeanTest
    p_holm: float | None
    p_benjamini_hochberg: float | None
    titles: Titles | None


@dataclass(frozen=True)
class CellResult:
    """One configuration.

    Attributes:
        levels: Level of each factor.
        mean: Mean over pairs.
        interval: Percentile bootstrap over pairs; None for a single pair.
        change: Against the cell of all baselines; None for that cell itself.
    """

    levels: Cell
    mean: float
    interval: Interval | None
    change: RelativeChange | None


@dataclass(frozen=True)
class FactorialResult:
    """What an ablation says of one metric.

    Attributes:
        metric: Name of the quantity.
        better: Its direction.
        design: Factors and levels.
        n: Pairs that are in all cells.
        dropped: Pairs that are not, with reasons.
        cells: In the order of the design.
        effects: Main effects, then interactions by order.
        simple: Effects of one factor with the others held or averaged; see `simple_effects`.
        reversals: Where a simple effect changes sign.
        dominance: Largest main effect against each other.
        resampling: Draws and seeds.
    """

    metric: str
    better: Better
    design: Design
    n: int
    dropped: tuple[Dropped, ...]
    cells: tuple[CellResult, ...]
    effects: tuple[Effect, ...]
    simple: tuple[SimpleEffect, ...]
    reversals: tuple[Reversal, ...]
    dominance: tuple[Dominance, ...]
    resampling: Resampling

    def effect(self, name: str) -> Effect:
        """The effect of that name.

        Raises:
            KeyError: There is none.
        """
        return {effect.name: effect for effect in self.effects}[name]


def analyse(
    design: Design,
    scores: Mapping[str, Mapping[Cell, float | None]],
    *,
    metric: str = "",
    better: Better = "none",
    titles: Mapping[str, str] | None = None,
    resampling: Resampling | None = None,
) -> FactorialResult:
    """Analyse one metric of an ablation.

    Args:
        design: Factors and levels.
        scores: By pair, then by cell; one value a clip. A pair with a cell that is absent, None or infinite drops
            out of all cells and is counted. The order of pairs is that in which the bootstrap draws them.
        metric: Name of the quantity.
        better: Its direction.
        titles: Title of each pair; None where pairs are not clustered.
        resampling: Draws and seeds.

    Raises:
        InputError: No pair is in all cells; or a value is NaN; or a pair has no title.
    """
    how = resampling or Resampling()
    units, values, dropped = _complete(design, scores, metric)
    named = None if titles is None else [_title(titles, unit) for unit in units]
    contrasts = {term: design.contrast(values, term) for term in design.terms}
    tests = {term: mean_test(contrast, how) for term, contrast in contrasts.items()}
    raw = [test.p_t for test in tests.values()]
    corrected = zip(tests.items(), holm(raw), benjamini_hochberg(raw), strict=True)
    effects = tuple(
        Effect(
            term.name, term.levels, test, p_holm, p_bh, None if named is None else _titles(contrasts[term], named, how)
        )
        for (term, test), p_holm, p_bh in corrected
    )
    simple = simple_effects(design, values, how)
    return FactorialResult(
        metric,
        better,
        design,
        len(units),
        dropped,
        tuple(
            _cell(cell, values[:, i], values[:, 0] if i else None, better, how) for i, cell in enumerate(design.cells)
        ),
        effects,
        simple,
        reversals(design, simple),
        dominance({term.name: contrasts[term] for term in design.terms if term.order == 1}, how),
        how,
    )


def joint_holm(results: Sequence[FactorialResult]) -> tuple[FactorialResult, ...]:
    """The results of several metrics with Holm's correction over the effects of all of them together."""
    adjusted = iter(holm([effect.test.p_t for result in results for effect in result.effects]))
    return tuple(
        replace(result, effects=tuple(replace(effect, p_holm=next(adjusted)) for effect in result.effects))
        for result in results
    )


def _complete(
    design: Design, scores: Mapping[str, Mapping[Cell, float | None]], metric: str
) -> tuple[list[str], NDArray[np.float64], tuple[Dropped, ...]]:
    units, rows, dropped = [], [], []
    for unit, row in scores.items():
        if unknown := set(row) - set(design.cells):
            raise InputError(
                f"{unit} has cells that are not of the design: {', '.join(map('/'.join, sorted(unknown)))}."
            )
        found = [row.get(cell) for cell in design.cells]
        absent = ["/".join(cell) for cell, value in zip(design.cells, found, strict=True) if value is None]
        numbers = [value for value in found if value is not None]
        if any(math.isnan(value) for value in numbers):
            raise InputError(f"{metric or 'A score'} of {unit} is NaN; what failed has no value and says why.")
        if absent:
            dropped.append(Dropped(unit, f"no value in {', '.join(absent)}"))
        elif not all(map(math.isfinite, numbers)):
            dropped.append(Dropped(unit, "infinite in a cell"))
        else:
            units.append(unit)
            rows.append(numbers)
    if not units:
        raise InputError(
            f"No pair has a value of {metric or 'the metric'} in all {len(design.cells)} cells.",
            hint=[f"{each.unit}: {each.reason}" for each in dropped[:3]],
        )
    return units, np.array(rows, np.float64), tuple(dropped)


def _title(titles: Mapping[str, str], unit: str) -> str:
    if unit not in titles:
        raise InputError(f"Pair {unit} has no title.")
    return titles[unit]


def _titles(contrast: NDArray[np.float64], titles: list[str], how: Resampling) -> Titles | None:
    names = np.array(titles)
    means = cluster_means(contrast, titles)
    once = cluster_interval(contrast, titles, draws=how.draws, seed=how.title_seed, level=how.level)
    twice = two_stage_interval(contrast, titles, draws=how.draws, seed=how.title_seed, level=how.level)
    if once is None or twice is None:
        return None
    without = [float(contrast[names != title].mean()) for title in means]
    return Titles(
        tuple(TitleEffect(str(title), titles.count(str(title)), mean) for title, mean in means.items()),
        float(np.mean(list(means.values()))),
        once,
        twice,
        (min(without), max(without)),
        len(means) >= FEW_TITLES,
    )


def _cell(
    cell: Cell, values: NDArray[np.float64], base: NDArray[np.float64] | None, better: Better, how: Resampling
) -> CellResult:
    return CellResult(
        cell,
        float(values.mean()),
        percentile_interval(np.mean, values, draws=how.draws, seed=how.seed, level=how.level),
        None if base is None else relative_change(values, base, better, how),
    )
