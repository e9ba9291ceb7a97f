"""p-values of a family of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from statsmodels.stats.multitest import multipletests

Correction = Literal["holm", "benjamini-hochberg", "bonferroni", "hommel"]

_NAMES = {"holm": "holm", "benjamini-hochberg": "fdr_bh", "bonferroni": "bonferroni", "hommel": "hommel"}


def adjust(p_values: Sequence[float | None], method: Correction = "holm") -> tuple[float | None, ...]:
    """Adjusted p-values, in the order given (statsmodels).

    Holm (1979) bounds the chance of any false finding, however the tests depend on each other: the default.
    Benjamini & Hochberg (1995) bounds the share of false findings: for exploration.

    Args:
        p_values: One for each test of the family; None for a test that could not be made, which stays None and
            does not count as a member.
        method: Which correction.

    Raises:
        ValueError: A value outside [0, 1].
    """
    made = [p for p in p_values if p is not None]
    if not all(0 <= p <= 1 for p in made):
        raise ValueError(f"p-values lie between 0 and 1: {made}")
    if not made:
        return tuple(p_values)
    adjusted = iter(multipletests(made, method=_NAMES[method])[1])
    return tuple(None if p is None else float(next(adjusted)) for p in p_values)


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """`adjust` by Holm's method."""
    return adjust(p_values, "holm")


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """`adjust` by the method of Benjamini and Hochberg."""
    return adjust(p_values, "benjamini-hochberg")
