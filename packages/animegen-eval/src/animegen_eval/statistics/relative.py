"""Change relative to a baseline. Two definitions go by the same name: both are given, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from animegen_eval.statistics.bootstrap import percentile_interval
from animegen_eval.statistics.records import Interval, Resampling

Better = Literal["lower", "higher", "none"]


@dataclass(frozen=True)
class RelativeChange:
    """How a system changed against a baseline, as a share of the baseline.

    Attributes:
        n: Number of pairs.
        ratio_of_means: ``mean(new) / mean(base) - 1``; None where the baseline is not positive throughout.
        ratio_of_means_interval: Percentile bootstrap over pairs.
        mean_of_ratios: ``mean(new / base) - 1``; None likewise.
        mean_of_ratios_interval: Percentile bootstrap over pairs.
        improved: Pairs that got better; None where no direction is better.
        worse: Pairs that got worse; None likewise.
    """

    n: int
    ratio_of_means: float | None
    ratio_of_means_interval: Interval | None
    mean_of_ratios: float | None
    mean_of_ratios_interval: Interval | None
    improved: int | None
    worse: int | None


def ratio_of_means(new: NDArray[np.float64], base: NDArray[np.float64], axis: int = -1) -> Any:
    """``mean(new) / mean(base) - 1`` along an axis."""
    return new.mean(axis=axis) / base.mean(axis=axis) - 1


def relative_change(
    new: NDArray[np.float64],
    base: NDArray[np.float64],
    better: Better = "none",
    resampling: Resampling | None = None,
) -> RelativeChange:
    """Compare a system with a baseline on the same pairs.

    Args:
        new: (N,) finite.
        base: (N,) finite, of the same pairs.
        better: Which direction is better.
        resampling: Draws and seeds.
    """
    how = resampling or Resampling()
    new, base = np.asarray(new, np.float64), np.asarray(base, np.float64)
    improved, worse = improvements(new, base, better)
    if not (base > 0).all():
        return RelativeChange(new.size, None, None, None, None, improved, worse)
    shares = new / base - 1
    return RelativeChange(
        new.size,
        float(ratio_of_means(new, base)),
        percentile_interval(ratio_of_means, new, base, draws=how.draws, seed=how.seed, level=how.level),
        float(shares.mean()),
        percentile_interval(np.mean, shares, draws=how.draws, seed=how.seed, level=how.level),
        improved,
        worse,
    )


def improvements(
    new: NDArray[np.float64], base: NDArray[np.float64], better: Better
) -> tuple[int, int] | tuple[None, None]:
    """Number of pairs that got better and that got worse; infinities are ordered like any number."""
    up, down = int((new > base).sum()), int((new < base).sum())
    if better == "none":
        return None, None
    return (up, down) if better == "higher" else (down, up)
