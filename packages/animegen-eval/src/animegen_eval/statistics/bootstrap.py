"""Bootstrap intervals over units: pairs, clips, raters, or clusters of them such as titles. Never over frames.

A statistic takes one or more columns of N values and reduces their last axis: ``statistic(*columns, axis=-1)``. Rows
stay paired: one draw picks the same units in every column. Efron & Tibshirani, An Introduction to the Bootstrap
(1993), chapters 13 (percentile) and 14 (BCa).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from animegen_eval.statistics.records import Interval

Column = NDArray[np.float64]
Statistic = Callable[..., Any]

_AT_ONCE = 4_000_000  # values drawn at a time: 32 MB, whatever the number of units
_KEPT = 1_000_000  # draws of no more values than this are kept: an analysis asks for the same ones dozens of times


def draw_units(count: int, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Indices of drawn units, in blocks of (b, count) that make up (draws, count).

    The stream is that of ``Generator(PCG64(seed)).integers(0, count, size=(draws, count))`` in one call.
    """
    if count * draws <= _KEPT:
        yield _kept(count, draws, seed)
        return
    generator = np.random.Generator(np.random.PCG64(seed))
    block = max(1, _AT_ONCE // count)
    for start in range(0, draws, block):
        yield generator.integers(0, count, size=(min(block, draws - start), count))


def replicates(statistic: Statistic, *columns: Column, draws: int = 5000, seed: int = 12345) -> Column:
    """The statistic of every draw, (draws,) float64.

    Raises:
        ValueError: Columns of different lengths, none at all, or a value that is not finite.
    """
    checked = _columns(columns)
    blocks = draw_units(checked[0].size, draws, seed)
    return np.concatenate([statistic(*(column[block] for column in checked), axis=-1) for block in blocks])


def percentile_interval(
    statistic: Statistic,
    *columns: Column,
    draws: int = 5000,
    seed: int = 12345,
    level: float = 0.95,
    over: str = "pairs",
) -> Interval | None:
    """Percentiles of the replicates, linearly interpolated.

    Returns:
        None for fewer than two units, or where the statistic of some draw is not finite (a ratio to 0).
    """
    if _columns(columns)[0].size < 2:
        return None
    return from_replicates(replicates(statistic, *columns, draws=draws, seed=seed), level=level, seed=seed, over=over)


def from_replicates(
    values: Column, *, level: float = 0.95, seed: int | None = None, over: str = "pairs"
) -> Interval | None:
    """The percentile interval of replicates that are there already; None where one is not finite."""
    if not np.isfinite(values).all():
        return None
    low, high = np.percentile(values, _tails(level))
    return Interval(float(low), float(high), level, "percentile", over, values.size, seed)


def bca_interval(
    statistic: Statistic,
    *columns: Column,
    draws: int = 5000,
    seed: int = 999,
    level: float = 0.95,
    over: str = "pairs",
) -> Interval | None:
    """Bias-corrected and accelerated interval, for skewed statistics (Efron 1987; SciPy's implementation).

    Returns:
        None for fewer than two units, or where SciPy finds no correction (every draw on one side of the estimate,
        or one of them not finite). Width 0 where all units are equal.
    """
    checked = _columns(columns)
    if checked[0].size < 2:
        return None
    if all((column == column[0]).all() for column in checked):
        value = float(statistic(*checked, axis=-1))
        return Interval(value, value, level, "bca", over, draws, seed) if np.isfinite(value) else None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # told by None
        result = stats.bootstrap(
            checked,
            statistic,
            n_resamples=draws,
            batch=max(1, min(draws, _AT_ONCE // checked[0].size)),
            vectorized=True,
            paired=True,
            confidence_level=level,
            method="BCa",
            random_state=np.random.default_rng(seed),
        )
    low, high = result.confidence_interval
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return Interval(float(low), float(high), level, "bca", over, draws, seed)


def cluster_means(values: Column, clusters: Sequence[Hashable]) -> dict[Hashable, float]:
    """Mean of each cluster, in the order in which clusters first occur."""
    return {name: float(rows.mean()) for name, rows in _by_cluster(values, clusters).items()}


def cluster_interval(
    values: Column,
    clusters: Sequence[Hashable],
    *,
    draws: int = 5000,
    seed: int = 54321,
    level: float = 0.95,
    over: str = "titles",
) -> Interval | None:
    """Percentile interval of the mean of cluster means, with clusters drawn again.

    Every cluster weighs the same, whatever its size. Unreliable below some 30 clusters (Cameron, Gelbach & Miller
    2008, section 1): show the clusters themselves beside it.

    Returns:
        None for fewer than two clusters.
    """
    means = np.array(list(cluster_means(values, clusters).values()))
    return percentile_interval(np.mean, means, draws=draws, seed=seed, level=level, over=over)


def two_stage_interval(
    values: Column,
    clusters: Sequence[Hashable],
    *,
    draws: int = 5000,
    seed: int = 54321,
    level: float = 0.95,
    over: str = "titles, then pairs",
) -> Interval | None:
    """Percentile interval of the mean of cluster means, with clusters drawn again and then units in each.

    Davison & Hinkley, Bootstrap Methods and their Application (1997), section 3.8, both stages with replacement.

    Returns:
        None for fewer than two clusters.
    """
    groups = list(_by_cluster(values, clusters).values())
    if len(groups) < 2:
        return None
    sizes = np.array([rows.size for rows in groups])
    table = np.zeros((len(groups), sizes.max()))
    for row, rows in zip(table, groups, strict=True):
        row[: rows.size] = rows
    generator = np.random.Generator(np.random.PCG64(seed))
    found = []
    block = max(1, _AT_ONCE // table.size)
    for start in range(0, draws, block):
        picked = generator.integers(0, len(groups), size=(min(block, draws - start), len(groups)))
        count = sizes[picked][..., None]
        unit = (generator.random((*picked.shape, table.shape[1])) * count).astype(np.int64)
        drawn = np.where(np.arange(table.shape[1]) < count, table[picked[..., None], unit], 0.0)
        found.append((drawn.sum(-1) / count[..., 0]).mean(-1))
    return from_replicates(np.concatenate(found), level=level, seed=seed, over=over)


@lru_cache(maxsize=4)
def _kept(count: int, draws: int, seed: int) -> NDArray[np.int64]:
    units = np.random.Generator(np.random.PCG64(seed)).integers(0, count, size=(draws, count))
    units.flags.writeable = False
    return units


def _by_cluster(values: Column, clusters: Sequence[Hashable]) -> dict[Hashable, Column]:
    (checked,) = _columns((values,))
    if len(clusters) != checked.size:
        raise ValueError(f"{checked.size} values in {len(clusters)} named clusters")
    rows: dict[Hashable, list[float]] = {}
    for value, name in zip(checked, clusters, strict=True):
        rows.setdefault(name, []).append(value)
    return {name: np.array(found) for name, found in rows.items()}


def _columns(columns: Sequence[Column]) -> list[Column]:
    found = [np.asarray(column, np.float64) for column in columns]
    if not found or not found[0].size or any(column.shape != (found[0].size,) for column in found):
        raise ValueError(f"columns of equal length with at least one unit, not {[column.shape for column in found]}")
    if not all(np.isfinite(column).all() for column in found):
        raise ValueError("a column holds a value that is not finite")
    return found


def _tails(level: float) -> tuple[float, float]:
    return 50 * (1 - level), 50 * (1 + level)
