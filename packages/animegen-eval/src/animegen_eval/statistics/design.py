"""Factorial designs: factors, cells, and the contrast of each effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from animegen.errors import UsageError

Cell = tuple[str, ...]


@dataclass(frozen=True)
class Factor:
    """What is varied.

    Attributes:
        name: Name, e.g. ``preprocess``.
        levels: At least two; the first is the baseline.
    """

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.levels) < 2 or len(set(self.levels)) < len(self.levels):
            raise UsageError(
                f"Factor {self.name} has levels {', '.join(self.levels) or '(none)'}; expected two or more."
            )


@dataclass(frozen=True)
class Term:
    """A main effect or an interaction.

    Attributes:
        name: Its factors joined by colons; a factor of more than two levels as ``preprocess=descreen``.
        levels: (factor, level that is held against the baseline), in the order of the design.
    """

    name: str
    levels: tuple[tuple[str, str], ...]

    @property
    def order(self) -> int:
        """1 for a main effect, m for an interaction of m factors."""
        return len(self.levels)


@dataclass(frozen=True)
class Design:
    """A full factorial design.

    With two levels a factor everywhere, the effect of a term is the usual contrast of 2^k designs: levels coded -1 and
    +1, the products summed over the cells and divided by half their number (Montgomery, Design and Analysis of
    Experiments, chapter 6). A factor of more levels has one treatment contrast for each level beyond the first: that
    level against the baseline, with the cells of the further levels left out of the contrast; in effects of other
    factors all its levels weigh the same. An interaction is half the difference of simple effects throughout.

    Attributes:
        factors: In the order that cells are in, the last one running fastest.
    """

    factors: tuple[Factor, ...]

    def __post_init__(self) -> None:
        names = [factor.name for factor in self.factors]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"A design needs factors with names of their own, not {', '.join(names) or 'none'}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of levels of each factor."""
        return tuple(len(factor.levels) for factor in self.factors)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Levels of each cell; of 2^3 factors in the order 000, 001, 010 ... 111."""
        return tuple(product(*(factor.levels for factor in self.factors)))

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """All main effects, then all interactions of two factors, and so on."""
        found = []
        for order in range(1, len(self.factors) + 1):
            for chosen in combinations(self.factors, order):
                for levels in product(*(factor.levels[1:] for factor in chosen)):
                    named = zip(chosen, levels, strict=True)
                    name = ":".join(f.name if len(f.levels) == 2 else f"{f.name}={level}" for f, level in named)
                    pairs = zip((factor.name for factor in chosen), levels, strict=True)
                    found.append(Term(name, tuple(pairs)))
        return tuple(found)

    def contrast(self, values: NDArray[np.float64], term: Term) -> NDArray[np.float64]:
        """The effect of a term in every unit.

        Args:
            values: (N, number of cells) finite.
            term: One of `terms`.

        Returns:
            (N,); what rounding left over of 0 is 0.
        """
        held = dict(term.levels)
        result = np.asarray(values, np.float64).reshape(-1, *self.shape)
        for factor in self.factors:  # each step takes the axis after that of the units away
            if factor.name in held:
                result = result[:, factor.levels.index(held[factor.name])] - result[:, 0]
            else:
                result = result.mean(axis=1)
        result = result / 2 ** (term.order - 1)
        return _settled(result, values)

    def simple(
        self, values: NDArray[np.float64], factor: str, level: str, at: Sequence[tuple[str, str]]
    ) -> NDArray[np.float64]:
        """What a level does against the baseline, in every unit, with some of the other factors held.

        Args:
            values: (N, number of cells) finite.
            factor: Which factor moves.
            level: To which level, from its first.
            at: (other factor, its level); factors that are not named are averaged over.
        """
        held = dict(at)
        result = np.asarray(values, np.float64).reshape(-1, *self.shape)
        for each in self.factors:
            if each.name == factor:
                result = result[:, each.levels.index(level)] - result[:, 0]
            elif each.name in held:
                result = result[:, each.levels.index(held[each.name])]
            else:
                result = result.mean(axis=1)
        return _settled(result, values)


def _settled(result: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounding errors of a contrast made 0, so that no test finds significance in the last bit of a float."""
    result[np.abs(result) <= 16 * np.finfo(np.float64).eps * np.abs(values).max(axis=1)] = 0.0
    return result
