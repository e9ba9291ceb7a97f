"""How many votes it takes."""

from __future__ import annotations

import math

from scipy import stats

from animegen_eval.statistics.binomial import share_interval


def critical_wins(n: int, alpha: float = 0.05) -> int | None:
    """Least number of wins of n that a two-sided exact test against one half finds significant; None: not even n."""
    for wins in range(n // 2 + 1, n + 1):
        if 2 * float(stats.binom.sf(wins - 1, n, 0.5)) <= alpha:
            return wins
    return None


def power(n: int, rate: float, alpha: float = 0.05) -> float:
    """Chance that n decisive votes show a true rate, by the two-sided exact test: both tails summed exactly."""
    least = critical_wins(n, alpha)
    if least is None:
        return 0.0
    return float(stats.binom.sf(least - 1, n, rate) + stats.binom.cdf(n - least, n, rate))


def votes_needed(rate: float, wanted: float = 0.8, alpha: float = 0.05, stays: int = 12, most: int = 100_000) -> int:
    """Decisive votes that show a true rate with a chance of at least `wanted`.

    The power of an exact test goes up and down like a saw as votes are added, so the answer is the smallest n from
    which it stays: at n and at the next ``stays - 1`` numbers.

    Raises:
        ValueError: More than `most` votes would be needed (a rate at or near one half).
    """
    start = 1
    while start <= most:
        failing = [n for n in range(start, start + stays) if power(n, rate, alpha) < wanted]
        if not failing:
            return start
        start = failing[-1] + 1
    raise ValueError(f"more than {most} votes to show a rate of {rate}")


def votes_needed_normal(rate: float, wanted: float = 0.8, alpha: float = 0.05) -> int:
    """The same by the normal approximation, which is too few: ``((z_a / 2 + z_b sqrt(p q)) / (p - 1/2))^2``."""
    z_alpha, z_power = float(stats.norm.ppf(1 - alpha / 2)), float(stats.norm.ppf(wanted))
    return math.ceil(((z_alpha * 0.5 + z_power * math.sqrt(rate * (1 - rate))) / (rate - 0.5)) ** 2)


def half_width(n: int, level: float = 0.95) -> float:
    """Half the width of Wilson's interval of n votes at a rate of one half."""
    z = float(stats.norm.ppf((1 + level) / 2))
    if n % 2 == 0:
        interval = share_interval(n // 2, n, "wilson", level)
        return (interval.high - interval.low) / 2
    return z * math.sqrt(1 / (4 * n) + z * z / (4 * n * n)) / (1 + z * z / n)


def design_effect(votes_per_rater: float, correlation: float) -> float:
    """How many times more votes it takes when a rater's votes resemble each other: ``1 + (m - 1) rho`` (Kish 1965)."""
    return 1 + (votes_per_rater - 1) * correlation


def votes_to_ask(decisive: int, tie_share: float = 0.0, effect: float = 1.0) -> int:
    """Votes to ask for, so that `decisive` independent ones with a preference come back."""
    if not 0 <= tie_share < 1:
        raise ValueError(f"a share of ties of {tie_share}")
    return math.ceil(decisive * effect / (1 - tie_share))
