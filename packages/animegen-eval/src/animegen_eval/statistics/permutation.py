"""How often chance alone gives such a difference."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_FEW = 13
_AT_ONCE = 4_000_000  # signs drawn at a time: 32 MB, whatever the number of units
_KEPT = 1_000_000  # draws of no more values than this are kept: an analysis asks for the same ones dozens of times


def sign_flip(differences: NDArray[np.float64], *, draws: int = 5000, seed: int = 777) -> float:
    """Two-sided p-value of a paired difference of 0, by flipping the signs of the units' differences at random.

    ``p = (1 + #{|mean of flipped| >= |mean|}) / (draws + 1)``, never 0 and 1 for differences that are all 0 (Phipson &
    Smyth 2010). Valid where each difference is symmetric about 0 if nothing changes. The signs are those of
    ``Generator(PCG64(seed)).choice([-1., 1.], (draws, N))``.

    Args:
        differences: (N,) finite.
        draws: Number of random flips.
        seed: Of PCG64.
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"finite differences of at least one unit, not {values.shape}")
    # Flips that only reorder the same sum must count as equal, whatever the rounding.
    least = abs(values.mean()) - 1e-12 * np.abs(values).mean()
    blocks = _signs(values.size, draws, seed)
    count = sum(int((np.abs((signs * values).mean(axis=1)) >= least).sum()) for signs in blocks)
    return (1 + count) / (draws + 1)


def signed_rank(differences: NDArray[np.float64]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; differences of 0 are left out (Wilcoxon 1945).

    SciPy's choice of method, but for up to 13 units with ties: it then goes through all flips one by one, which takes
    a second. Here all of them are one product of matrices, with the same result.

    Args:
        differences: (N,) finite.
    """
    values = np.asarray(differences, np.float64)
    units = values[values != 0]
    if not units.size:
        return 1.0
    ranks = stats.rankdata(np.abs(units))
    if values.size > _FEW or (units.size == values.size and np.unique(ranks).size == ranks.size):
        return float(stats.wilcoxon(values).pvalue)
    flips = np.array(list(product((-1.0, 1.0), repeat=units.size)))
    sums = np.abs(flips @ ranks)  # ranks are halves of integers: sums are exact
    return float((sums >= abs(np.sign(units) @ ranks)).mean())


def _signs(count: int, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Signs in blocks of (b, count) that make up (draws, count)."""
    if count * draws <= _KEPT:
        yield _kept(count, draws, seed)
        return
    generator = np.random.Generator(np.random.PCG64(seed))
    block = max(1, _AT_ONCE // count)
    for start in range(0, draws, block):
        yield generator.choice([-1.0, 1.0], (min(block, draws - start), count))


@lru_cache(maxsize=4)
def _kept(count: int, draws: int, seed: int) -> NDArray[np.float64]:
    signs = np.random.Generator(np.random.PCG64(seed)).choice([-1.0, 1.0], (draws, count))
    signs.flags.writeable = False
    return signs
