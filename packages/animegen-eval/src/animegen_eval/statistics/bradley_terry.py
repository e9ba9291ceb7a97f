"""More than two systems in a two-choice study: Bradley & Terry (1952)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse, stats
from scipy.special import expit, log_expit

from animegen.errors import InputError


@dataclass(frozen=True)
class BradleyTerry:
    """Strengths by maximum likelihood.

    Attributes:
        names: Of the systems.
        strengths: Log strengths, sum 0.
        errors: Standard errors, from the pseudo-inverse of the Fisher information.
        log_likelihood: At the maximum.
        deviance: Against the model with a rate of its own for each pair of systems.
        deviance_df: Pairs of systems that met, less the systems, plus 1.
        deviance_p: Chi-squared p of the fit; None without degrees of freedom.
        equal_chi2: Likelihood ratio of the model against equal strengths.
        equal_p: Its p.
    """

    names: tuple[str, ...]
    strengths: tuple[float, ...]
    errors: tuple[float, ...]
    log_likelihood: float
    deviance: float
    deviance_df: int
    deviance_p: float | None
    equal_chi2: float
    equal_p: float

    def chance(self, first: int, second: int) -> float:
        """Chance that one system is preferred to another."""
        return float(expit(self.strengths[first] - self.strengths[second]))


def with_half_wins(wins: NDArray[np.float64], ties: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wins with half a win to each side of a tie; the report must say so.

    Args:
        wins: (k, k), row preferred to column.
        ties: (k, k) symmetric number of ties.
    """
    return np.asarray(wins, np.float64) + np.asarray(ties, np.float64) / 2


def bradley_terry(wins: NDArray[np.float64], names: tuple[str, ...] = ()) -> BradleyTerry:
    """Fit log strengths: ``P(i preferred to j) = 1 / (1 + exp(s_j - s_i))``.

    Args:
        wins: (k, k), how often the row was preferred to the column; k at least 2.
        names: Of the systems; numbers where none are given.

    Raises:
        InputError: There is no finite estimate, because some systems never won against the others or never lost
            (Ford 1957); the message names them.
    """
    table = np.array(wins, np.float64)
    k = len(table)
    if table.shape != (k, k) or k < 2 or (table < 0).any() or np.diag(table).any() or not np.isfinite(table).all():
        raise InputError(f"Wins are a square table of counts with nothing on the diagonal, not {table.shape}.")
    labels = names or tuple(str(i) for i in range(k))
    if len(labels) != k:
        raise InputError(f"There are {len(labels)} names of {k} systems.")
    _connected(table, labels)
    met = table + table.T

    def negative(strengths: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        gaps = strengths[:, None] - strengths[None]
        return -float((table * log_expit(gaps)).sum()), -(table - met * expit(gaps)).sum(axis=1)

    start = np.zeros(k)
    fitted = optimize.minimize(negative, start, jac=True, hess=lambda s: _information(s, met), method="trust-exact")
    strengths = fitted.x
    for _ in range(3):  # near the maximum Newton's steps double the number of right digits
        strengths = strengths - np.linalg.pinv(_information(strengths, met), hermitian=True) @ negative(strengths)[1]
    strengths = strengths - strengths.mean()
    if np.abs(negative(strengths)[1]).max() > 1e-9 * table.sum():
        raise InputError(f"The strengths of {', '.join(labels)} did not settle: {fitted.message}")
    best, equal = -negative(strengths)[0], -negative(start)[0]
    pairs = int((np.triu(met) > 0).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        saturated = float(np.where(table > 0, table * np.log(table / met), 0.0).sum())
    deviance, df = max(0.0, 2 * (saturated - best)), pairs - (k - 1)
    chi2 = max(0.0, 2 * (best - equal))
    errors = np.sqrt(np.diag(np.linalg.pinv(_information(strengths, met), hermitian=True)))
    return BradleyTerry(
        labels,
        tuple(map(float, strengths)),
        tuple(map(float, errors)),
        best,
        deviance,
        df,
        float(stats.chi2.sf(deviance, df)) if df else None,
        chi2,
        float(stats.chi2.sf(chi2, k - 1)),
    )


def _information(strengths: NDArray[np.float64], met: NDArray[np.float64]) -> NDArray[np.float64]:
    rates = expit(strengths[:, None] - strengths[None])
    weights = met * rates * (1 - rates)
    return np.asarray(np.diag(weights.sum(axis=1)) - weights)


def _connected(table: NDArray[np.float64], names: tuple[str, ...]) -> None:
    """Ford's condition: however the systems are split in two, each side won against the other at least once."""
    groups, apart = sparse.csgraph.connected_components(table + table.T, directed=False)
    told = "half a win for each side of one more vote a pair would be a penalty, and must be named"
    if groups > 1:
        sets = [", ".join(n for n, g in zip(names, apart, strict=True) if g == group) for group in range(groups)]
        raise InputError(f"There is no vote between {' and '.join(sets)}: their strengths cannot be compared.")
    groups, strong = sparse.csgraph.connected_components(table, directed=True, connection="strong")
    if groups == 1:
        return
    for group in range(groups):
        inside = strong == group
        for verb, across in (("never won", table[inside][:, ~inside]), ("never lost", table[~inside][:, inside])):
            if not across.any():
                members = ", ".join(n for n, member in zip(names, inside, strict=True) if member)
                raise InputError(f"{members} {verb} against the others: there is no finite estimate.", hint=told)
