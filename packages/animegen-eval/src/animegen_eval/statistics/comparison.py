"""Two systems on the same clips, metric by metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from animegen.errors import InputError
from animegen_eval.statistics.binomial import two_sided
from animegen_eval.statistics.corrections import holm
from animegen_eval.statistics.mean_test import MeanTest, mean_test
from animegen_eval.statistics.records import Dropped, Interval, Resampling
from animegen_eval.statistics.relative import Better, RelativeChange, improvements, relative_change

Clips = Mapping[str, "float | None"]


@dataclass(frozen=True)
class MetricComparison:
    """What one metric says of B against A.

    Where a value is infinite on one side (a PSNR of equal frames), its clip has no finite difference: it counts in
    `improved`, `worse` and the sign test, and not in the mean. Infinite on both sides is a difference of 0.

    Attributes:
        metric: Name of the quantity.
        better: Its direction.
        n: Clips with a value on both sides.
        dropped: Clips without one, with reasons.
        mean_a: Mean of A over the n clips; infinite if a clip is.
        mean_b: Mean of B.
        infinite_a: Number of infinite values of A.
        infinite_b: Of B.
        test: Difference B - A over clips where it is finite; None where there are none.
        p_holm: Sign-flip p, corrected by Holm over the metrics compared.
        improved: Clips on which B is better; None where no direction is better.
        worse: Clips on which A is better; None likewise.
        equal: Clips on which they are equal.
        p_sign: Exact sign test of improved against worse, equal clips left out; 1 where there are none else.
        change: Relative to A, over clips where both sides are finite; None where there are none.
    """

    metric: str
    better: Better
    n: int
    dropped: tuple[Dropped, ...]
    mean_a: float
    mean_b: float
    infinite_a: int
    infinite_b: int
    test: MeanTest | None
    p_holm: float | None
    improved: int | None
    worse: int | None
    equal: int
    p_sign: float
    change: RelativeChange | None

    @property
    def difference(self) -> float | None:
        """Mean of B - A over clips where it is finite."""
        return self.test.mean if self.test else None

    @property
    def interval(self) -> Interval | None:
        """Percentile bootstrap interval of the difference, over clips."""
        return self.test.percentile if self.test else None

    @property
    def share_improved(self) -> float | None:
        """Clips on which B is better, as a share of all n; None where no direction is better."""
        return None if self.improved is None else self.improved / self.n


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same clips: a row for each metric, and the draws behind them."""

    rows: tuple[MetricComparison, ...]
    resampling: Resampling


def compare(
    a: Mapping[str, Clips],
    b: Mapping[str, Clips],
    *,
    better: Mapping[str, Better] | None = None,
    resampling: Resampling | None = None,
) -> Comparison:
    """Compare B with A, paired by clip.

    Args:
        a: By metric, then by clip: one value a clip, None where there is none.
        b: Likewise, of the same metrics and clips.
        better: Direction of each metric; ``none`` where it is not given.
        resampling: Draws and seeds.

    Raises:
        InputError: The two sides have different metrics or clips, so that nothing says which belong together; or a
            metric has no clip with a value on both sides; or a value is NaN.
    """
    how = resampling or Resampling()
    if not a:
        raise InputError("There is no metric to compare.", hint="--metric NAME names one")
    _same("metrics", set(a), set(b))
    directions = better or {}
    rows = [_compare(metric, a[metric], b[metric], directions.get(metric, "none"), how) for metric in a]
    adjusted = holm([row.test.p_sign_flip if row.test else None for row in rows])
    return Comparison(tuple(replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True)), how)


def _compare(metric: str, a: Clips, b: Clips, better: Better, how: Resampling) -> MetricComparison:
    _same(f"clips of {metric}", set(a), set(b))
    pairs, dropped = [], []
    for clip, first in a.items():
        second = b[clip]
        if first is None or second is None:
            sides = " and ".join(side for side, value in (("A", first), ("B", second)) if value is None)
            dropped.append(Dropped(clip, f"no value in {sides}"))
        elif math.isnan(first) or math.isnan(second):
            raise InputError(f"{metric} of {clip} is NaN; what failed has no value and says why.")
        else:
            pairs.append((first, second))
    if not pairs:
        raise InputError(
            f"{metric} has no clip with a value on both sides, of {len(dropped)}.",
            hint="--metric NAME compares others; the tables of both sides say why values are missing",
        )
    left, right = np.array(pairs, np.float64).T
    with np.errstate(invalid="ignore"):
        differences = np.where(left == right, 0.0, right - left)
    finite = np.isfinite(differences)
    both = np.isfinite(left) & np.isfinite(right)
    up, down = int((right > left).sum()), int((right < left).sum())
    improved, worse = improvements(right, left, better)
    return MetricComparison(
        metric,
        better,
        len(pairs),
        tuple(dropped),
        _mean(left),
        _mean(right),
        int(np.isinf(left).sum()),
        int(np.isinf(right).sum()),
        mean_test(differences[finite], how) if finite.any() else None,
        None,
        improved,
        worse,
        len(pairs) - up - down,
        1.0 if up == down else two_sided(up, up + down),
        relative_change(right[both], left[both], better, how) if both.any() else None,
    )


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The mean, infinite if a value is; of +inf and -inf together, the mean of the rest."""
    if np.isposinf(values).any() and np.isneginf(values).any():
        values = values[np.isfinite(values)]
        return float(values.mean()) if values.size else 0.0
    return float(values.mean())


def _same(what: str, a: set[str], b: set[str]) -> None:
    if a == b:
        return
    told = []
    for side, names in (("A", sorted(a - b)), ("B", sorted(b - a))):
        if names:
            told.append(f"{len(names)} only in {side} ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})")
    raise InputError(
        f"The two sides have different {what}: {'; '.join(told)}. A comparison is paired: it needs the same ones.",
        hint="Evaluate both runs with the same metrics on the same clips.",
    )
