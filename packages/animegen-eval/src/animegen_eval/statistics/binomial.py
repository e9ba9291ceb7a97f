"""Exact tests and intervals of a share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scipy import stats

from animegen_eval.statistics.records import Interval

Method = Literal["clopper-pearson", "wilson", "agresti-coull", "jeffreys"]

_NAMES = {"clopper-pearson": "beta", "wilson": "wilson", "agresti-coull": "agresti_coull", "jeffreys": "jeffreys"}


@dataclass(frozen=True)
class ShareTest:
    """Wins against losses; every other field is None where there are neither.

    Attributes:
        wins: Number of wins.
        losses: Number of losses.
        rate: ``wins / (wins + losses)``.
        p: Exact two-sided p of a rate of one half.
        p_greater: Exact one-sided p of a rate above one half.
        p_mid: Two-sided mid-p, which counts half of what was observed: less strict than exact.
        clopper_pearson: The interval that matches the exact test.
        wilson: Shorter, with its confidence met on average.
    """

    wins: int
    losses: int
    rate: float | None = None
    p: float | None = None
    p_greater: float | None = None
    p_mid: float | None = None
    clopper_pearson: Interval | None = None
    wilson: Interval | None = None

    @property
    def n(self) -> int:
        """Wins and losses together."""
        return self.wins + self.losses


def share_test(wins: int, losses: int, level: float = 0.95) -> ShareTest:
    """Test wins against losses with one half.

    Args:
        wins: At least 0.
        losses: At least 0.
        level: Confidence of the intervals.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"{wins} wins and {losses} losses")
    n = wins + losses
    if not n:
        return ShareTest(0, 0)
    return ShareTest(
        wins,
        losses,
        wins / n,
        two_sided(wins, n),
        float(stats.binom.sf(wins - 1, n, 0.5)),
        mid_p(wins, n),
        share_interval(wins, n, "clopper-pearson", level),
        share_interval(wins, n, "wilson", level),
    )


def two_sided(wins: int, n: int, null: float = 0.5, rule: Literal["likelihood", "doubled"] = "likelihood") -> float:
    """Exact two-sided binomial p.

    Args:
        wins: Observed, 0 to n.
        n: Trials, at least 1.
        null: Probability of a win if nothing is going on.
        rule: ``likelihood`` sums all outcomes that are no likelier than the observed one (SciPy, R); ``doubled`` is
            twice the smaller tail, at most 1. At one half they are the same.
    """
    if rule == "likelihood":
        return float(stats.binomtest(wins, n, null).pvalue)
    return min(1.0, 2 * float(min(stats.binom.cdf(wins, n, null), stats.binom.sf(wins - 1, n, null))))


def mid_p(wins: int, n: int) -> float:
    """Two-sided mid-p against one half: twice the tail beyond the larger side, and the observed outcome once."""
    most = max(wins, n - wins)
    return min(1.0, 2 * float(stats.binom.sf(most, n, 0.5)) + float(stats.binom.pmf(most, n, 0.5)))


def share_interval(wins: int, n: int, method: Method = "clopper-pearson", level: float = 0.95) -> Interval:
    """Interval of a share, as statsmodels computes it; Brown, Cai & DasGupta (2001) compare the methods."""
    from statsmodels.stats.proportion import proportion_confint  # brings pandas: a comparison needs no interval

    low, high = proportion_confint(wins, n, alpha=1 - level, method=_NAMES[method])
    return Interval(float(low), float(high), level, method)
