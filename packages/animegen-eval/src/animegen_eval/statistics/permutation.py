"""How often chance alone gives such a difference."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
