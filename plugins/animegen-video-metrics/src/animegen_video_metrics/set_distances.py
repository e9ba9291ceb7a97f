"""Distances between two sets of feature vectors, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.floating]


def frechet(one: Rows, other: Rows, *, ddof: int = 1) -> float:
    """Fréchet distance of two normal distributions fitted to (N, d) and (M, d) rows.

    |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), the root taken as that of C1^½ C2 C1^½, which is symmetric: real also
    where there are fewer rows than dimensions. Its estimate is too large by an amount that falls as 1/N.

    Args:
        ddof: 1 for covariances over N - 1, 0 for N.
    """
    (mean_a, cov_a), (mean_b, cov_b) = _moments(one, ddof), _moments(other, ddof)
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = np.linalg.eigvalsh(root @ cov_b @ root)
    shift = mean_a - mean_b
    return float(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(np.clip(product, 0, None)).sum())


def kernel_distance(one: Rows, other: Rows, *, unbiased: bool = True) -> float:
    """Squared maximum mean discrepancy of (N, d) and (M, d) rows under the kernel (x·y / d + 1)³.

    Args:
        unbiased: Leave a row's product with itself out. Right at any N, and then it may be negative.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    across = _kernel(a, b).mean()
    within = []
    for rows in (a, b):
        values, count = _kernel(rows, rows), len(rows)
        within.append((values.sum() - np.trace(values)) / (count * (count - 1)) if unbiased else values.mean())
    return float(within[0] + within[1] - 2 * across)


def split_half(rows: Rows, *, ddof: int = 1, seed: int = 0) -> float:
    """`frechet` between two random halves of one set: how far it is from itself, at half its size."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(rows))
    half = len(rows) // 2
    return frechet(rows[order[:half]], rows[order[half : 2 * half]], ddof=ddof)


def frechet_interval(one: Rows, other: Rows, *, draws: int, ddof: int = 1, seed: int = 0) -> tuple[float, float]:
    """2.5th and 97.5th percentile of `frechet` over clips drawn with replacement from both sets."""
    random = np.random.Generator(np.random.PCG64(seed))
    found = [
        frechet(*(rows[random.integers(0, len(rows), len(rows))] for rows in (one, other)), ddof=ddof)
        for _ in range(draws)
    ]
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)


def kernel_deviation(one: Rows, other: Rows, *, subsets: int, size: int, seed: int = 0) -> float:
    """Standard deviation of `kernel_distance` over `subsets` pairs of random subsets of `size` rows."""
    random = np.random.Generator(np.random.PCG64(seed))
    found = [
        kernel_distance(*(rows[random.choice(len(rows), size, replace=False)] for rows in (one, other)))
        for _ in range(subsets)
    ]
    return float(np.std(found, ddof=1))


def _moments(rows: Rows, ddof: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.asarray(rows, np.float64)
    mean = values.mean(0)
    centred = values - mean
    return mean, centred.T @ centred / (len(values) - ddof)


def _kernel(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((one @ other.T / one.shape[1] + 1) ** 3)
