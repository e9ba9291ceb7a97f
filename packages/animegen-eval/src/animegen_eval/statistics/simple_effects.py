"""Effects of one factor where the others stand still: where an effect turns round, and which is the largest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from animegen_eval.statistics.bootstrap import percentile_interval
from animegen_eval.statistics.corrections import holm
from animegen_eval.statistics.design import Design
from animegen_eval.statistics.mean_test import MeanTest, mean_test
from animegen_eval.statistics.records import Interval, Resampling

Evidence: TypeAlias = Literal["both", "one", "none"]
_STRENGTHS: tuple[Evidence, ...] = ("none", "one", "both")


@dataclass(frozen=True)
class SimpleEffect:
    """What a level does against its baseline with other factors held.

    Attributes:
        factor: Factor that moves.
        level: To which level, from its first.
        at: (other factor, level at which it is held); factors not named are averaged over.
        test: Effect (its mean) with tests and intervals.
        p_holm: ``test.p_t`` corrected by Holm over all simple effects that hold as many factors.
    """

    factor: str
    level: str
    at: tuple[tuple[str, str], ...]
    test: MeanTest
    p_holm: float | None = None


@dataclass(frozen=True)
class Reversal:
    """A simple effect that changes its sign between two levels of another factor: a non-monotone interaction.

    Attributes:
        factor: Factor that moves.
        level: To which level.
        by: Factor between whose levels the sign changes.
        at: (factor, level) held at both ends beside `by`; empty where the rest is averaged over.
        first: The effect at the earlier level of `by`.
        second: At the later one.
        evidence: ``both`` effects differ from 0 after Holm, ``one`` of them, or ``none``: only ``both`` is a finding.
    """

    factor: str
    level: str
    by: str
    at: tuple[tuple[str, str], ...]
    first: SimpleEffect
    second: SimpleEffect
    evidence: Evidence


@dataclass(frozen=True)
class Dominance:
    """The largest main effect held against another one.

    Attributes:
        larger: Effect with the largest size.
        smaller: Effect it is held against.
        difference: ``|larger| - |smaller|``.
        interval: Percentile bootstrap over pairs, both effects from the same draws; None for a single pair.
        shown: Whether the interval excludes 0.
    """

    larger: str
    smaller: str
    difference: float
    interval: Interval | None
    shown: bool


def simple_effects(
    design: Design, values: NDArray[np.float64], resampling: Resampling | None = None
) -> tuple[SimpleEffect, ...]:
    """All effects of each factor with one other factor held, and with all others held.

    Each of the two is a family of its own for Holm's correction (with two factors they are the same one).

    Args:
        design: Factors and levels; a single factor has no simple effects.
        values: (N, number of cells) finite.
        resampling: Draws and seeds.
    """
    others = len(design.factors) - 1
    return tuple(effect for held in sorted({1, others} - {0}) for effect in _family(design, values, held, resampling))


def reversals(design: Design, effects: tuple[SimpleEffect, ...], alpha: float = 0.05) -> tuple[Reversal, ...]:
    """Where effects change sign, those with the most evidence first.

    Args:
        design: The design.
        effects: As `simple_effects` gives them.
        alpha: Level of the tests.
    """
    by_place = {(effect.factor, effect.level, effect.at): effect for effect in effects}
    found = []
    for effect in effects:
        for place, (name, level) in enumerate(effect.at):
            levels = next(factor.levels for factor in design.factors if factor.name == name)
            for later in levels[levels.index(level) + 1 :]:
                held = (*effect.at[:place], (name, later), *effect.at[place + 1 :])
                other = by_place[effect.factor, effect.level, held]
                if effect.test.mean * other.test.mean < 0:
                    rest = (*effect.at[:place], *effect.at[place + 1 :])
                    told = _evidence(effect, other, alpha)
                    found.append(Reversal(effect.factor, effect.level, name, rest, effect, other, told))
    return tuple(sorted(found, key=lambda each: -_STRENGTHS.index(each.evidence)))


def dominance(
    contrasts: Mapping[str, NDArray[np.float64]], resampling: Resampling | None = None
) -> tuple[Dominance, ...]:
    """Whether one effect is larger than each of the others: the difference of sizes, not two separate p-values.

    Args:
        contrasts: (N,) contrasts of each effect by name.
        resampling: Draws and seeds.
    """
    how = resampling or Resampling()
    by_size = sorted(contrasts, key=lambda name: -abs(float(contrasts[name].mean())))
    found = []
    for name in by_size[1:]:
        pair = contrasts[by_size[0]], contrasts[name]
        interval = percentile_interval(difference_of_sizes, *pair, draws=how.draws, seed=how.seed, level=how.level)
        shown = interval is not None and interval.excludes(0.0)
        found.append(Dominance(by_size[0], name, float(difference_of_sizes(*pair)), interval, shown))
    return tuple(found)


def difference_of_sizes(first: NDArray[np.float64], second: NDArray[np.float64], axis: int = -1) -> Any:
    """``|mean(first)| - |mean(second)|`` along an axis."""
    return np.abs(first.mean(axis=axis)) - np.abs(second.mean(axis=axis))


def _family(
    design: Design, values: NDArray[np.float64], held: int, resampling: Resampling | None
) -> list[SimpleEffect]:
    found = []
    for factor in design.factors:
        others = [each for each in design.factors if each is not factor]
        for chosen in combinations(others, held):
            for level in factor.levels[1:]:
                for levels in product(*(each.levels for each in chosen)):
                    at = tuple(zip((each.name for each in chosen), levels, strict=True))
                    test = mean_test(design.simple(values, factor.name, level, at), resampling)
                    found.append(SimpleEffect(factor.name, level, at, test))
    adjusted = holm([effect.test.p_t for effect in found])
    return [replace(effect, p_holm=p) for effect, p in zip(found, adjusted, strict=True)]


def _evidence(first: SimpleEffect, second: SimpleEffect, alpha: float) -> Evidence:
    sure = sum(effect.p_holm is not None and effect.p_holm < alpha for effect in (first, second))
    return _STRENGTHS[sure]
