"""Is the mean of paired differences 0? One record with every answer that the analyses print."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from animegen_eval.statistics.bootstrap import bca_interval, percentile_interval
from animegen_eval.statistics.permutation import sign_flip, signed_rank
from animegen_eval.statistics.records import Interval, Resampling

_ROUNDING = 1e-12  # units that differ by no more than this share are equal


@dataclass(frozen=True)
class MeanTest:
    """Tests and intervals of a mean over units.

    Attributes:
        n: Number of units.
        mean: Mean.
        sd: Standard deviation of the units, ``1 / (n - 1)``; None for one unit, as are all fields below.
        t: ``mean / (sd / sqrt(n))``; its square is the F of a repeated-measures ANOVA with (1, df) degrees of
            freedom. Infinite where all units are equal and not 0.
        df: Degrees of freedom, n - 1.
        p_t: Two-sided p of the t test. Where all units are equal and not 0 the test has no scale, and the p of the
            sign flips stands here.
        p_wilcoxon: Of `permutation.signed_rank`.
        p_sign_flip: Of `permutation.sign_flip`.
        dz: Cohen's dz, ``mean / sd``.
        percentile: Bootstrap interval.
        bca: Bootstrap interval for skewed units.
        t_interval: Interval of the t test.
    """

    n: int
    mean: float
    sd: float | None = None
    t: float | None = None
    df: int | None = None
    p_t: float | None = None
    p_wilcoxon: float | None = None
    p_sign_flip: float | None = None
    dz: float | None = None
    percentile: Interval | None = None
    bca: Interval | None = None
    t_interval: Interval | None = None


def mean_test(values: NDArray[np.float64], resampling: Resampling | None = None) -> MeanTest:
    """Test the mean of paired differences against 0.

    Args:
        values: (N,) finite, one a unit.
        resampling: Draws and seeds.
    """
    how = resampling or Resampling()
    units = np.asarray(values, np.float64)
    if units.ndim != 1 or not units.size or not np.isfinite(units).all():
        raise ValueError(f"finite values of at least one unit, not {units.shape}")
    n, mean = units.size, float(units.mean())
    if n == 1:
        return MeanTest(1, mean)
    flips = sign_flip(units, draws=how.draws, seed=how.flip_seed)
    low = high = mean
    if np.ptp(units) <= _ROUNDING * np.abs(units).max():
        sd = 0.0
        t = dz = math.copysign(math.inf, mean) if mean else 0.0
        p_t = flips if mean else 1.0
    else:
        sd = float(units.std(ddof=1))
        dz = mean / sd
        result = stats.ttest_1samp(units, 0.0)
        t, p_t = float(result.statistic), float(result.pvalue)
        low, high = (float(end) for end in result.confidence_interval(how.level))
    return MeanTest(
        n,
        mean,
        sd,
        t,
        n - 1,
        p_t,
        signed_rank(units),
        flips,
        dz,
        percentile_interval(np.mean, units, draws=how.draws, seed=how.seed, level=how.level),
        bca_interval(np.mean, units, draws=how.draws, seed=how.bca_seed, level=how.level),
        Interval(low, high, how.level, "t"),
    )
