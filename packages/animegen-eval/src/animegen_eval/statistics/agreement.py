"""How far raters agree beyond chance. It describes the raters: a clear mean preference can go with none of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa, to_table


def krippendorff_alpha(ratings: Sequence[Sequence[str | None]]) -> float | None:
    """Krippendorff's alpha for names, ratings may be missing: ``1 - observed / expected disagreement``.

    Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C.

    Args:
        ratings: (raters, items); None where a rater did not judge.

    Returns:
        None where no item has two ratings, or all ratings are the same one: chance alone then agrees fully.
    """
    items = [Counter(rating for rating in item if rating is not None) for item in zip(*ratings, strict=True)]
    items = [item for item in items if item.total() > 1]
    totals = sum(items, Counter())
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    if not expected:
        return None
    observed = sum(
        (item.total() ** 2 - sum(count * count for count in item.values())) / (item.total() - 1) for item in items
    )
    return 1 - (n - 1) * observed / expected


def fleiss(ratings: Sequence[Sequence[str]]) -> float | None:
    """Fleiss' kappa (statsmodels); every rater judged every item.

    Args:
        ratings: (raters, items).

    Returns:
        None for fewer than two raters, or where all ratings are the same one.
    """
    if len(ratings) < 2 or len({rating for rater in ratings for rating in rater}) < 2:
        return None
    table, _ = aggregate_raters(np.array([list(rater) for rater in ratings]).T)
    return float(fleiss_kappa(table))


def cohen(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa of two raters (statsmodels); None where both give the same name everywhere."""
    if len({*first, *second}) < 2:
        return None
    codes = {name: code for code, name in enumerate(sorted({*first, *second}))}
    pairs = np.array([[codes[a], codes[b]] for a, b in zip(first, second, strict=True)])
    table, _ = to_table(pairs, bins=len(codes))
    return float(cohens_kappa(table).kappa)
