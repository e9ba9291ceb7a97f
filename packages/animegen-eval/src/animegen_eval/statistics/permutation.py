"""How often chance alone gives such a difference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 4_000_000


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
    generator = np.random.Generator(np.random.PCG64(seed))
    count = 0
    block = max(1, _AT_ONCE // values.size)
    for start in range(0, draws, block):
        signs = generator.choice([-1.0, 1.0], (min(block, draws - start), values.size))
        count += int((np.abs((signs * values).mean(axis=1)) >= least).sum())
    return (1 + count) / (draws + 1)
