"""Two systems on the same clips."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from animegen.errors import InputError
from animegen_eval.statistics.comparison import compare
from animegen_eval.statistics.records import Resampling, plain

QUICK = Resampling(draws=400)


def clips(values) -> dict[str, float | None]:
    return {f"clip {i}": value for i, value in enumerate(values)}


def one(a, b, better="lower"):
    result = compare({"m": clips(a)}, {"m": clips(b)}, better={"m": better}, resampling=QUICK)
    json.dumps(plain(result), allow_nan=False)
    return result.rows[0]


def test_identical_systems_differ_by_nothing():
    values = [0.1, 0.2, 0.7]
    row = one(values, values)
    assert (row.difference, row.test.p_sign_flip, row.test.p_t, row.p_holm, row.p_sign) == (0, 1, 1, 1, 1)
    assert (row.interval.low, row.interval.high) == (0, 0)
    assert (row.improved, row.worse, row.equal, row.share_improved) == (0, 0, 3, 0)
    assert row.change.ratio_of_means == 0


def test_a_clear_difference_is_one_and_its_sign_says_which_way():
    base = np.random.default_rng(0).uniform(0.2, 0.4, 20)
    row = one(base, base * 0.8)
    assert row.difference == pytest.approx(-0.2 * base.mean())
    assert row.interval.low < row.difference < row.interval.high < 0
    assert row.p_holm < 0.01
    assert (row.improved, row.worse, row.share_improved) == (20, 0, 1.0)
    assert row.p_sign == pytest.approx(2 * 0.5**20)
    assert row.change.ratio_of_means == pytest.approx(-0.2)
    back = one(base * 0.8, base)
    assert back.difference == pytest.approx(-row.difference)
    assert (back.improved, back.worse) == (0, 20)
    assert one(base, base * 0.8, "higher").worse == 20
    assert one(base, base * 0.8, "none").share_improved is None


def test_infinities_are_counted_and_never_nan():
    inf = math.inf
    row = one([inf, inf, 30.0, 31.0], [inf, 40.0, inf, 32.0], "higher")
    assert (row.n, row.infinite_a, row.infinite_b) == (4, 2, 2)
    assert (row.mean_a, row.mean_b) == (inf, inf)
    assert row.test.n == 2  # both infinite: equal; 31 to 32
    assert row.difference == 0.5
    assert (row.improved, row.worse, row.equal) == (2, 1, 1)
    assert row.change.n == 1


def test_identical_frames_everywhere_are_equal():
    row = one([math.inf] * 3, [math.inf] * 3, "higher")
    assert (row.difference, row.p_holm, row.equal) == (0, 1, 3)
    assert row.change is None


def test_only_infinite_differences_leave_the_sign_test():
    row = one([30.0, 31.0], [math.inf, math.inf], "higher")
    assert (row.test, row.difference, row.interval, row.p_holm) == (None, None, None, None)
    assert (row.improved, row.p_sign, row.mean_b) == (2, 0.5, math.inf)


def test_opposite_infinities_have_a_mean_of_the_rest():
    assert one([math.inf, -math.inf, 2.0], [1.0, 1.0, 1.0]).mean_a == 2
    assert one([math.inf, -math.inf], [1.0, 1.0]).mean_a == 0


def test_a_missing_value_drops_its_clip_and_is_told():
    row = one([1.0, None, 3.0, None], [2.0, 2.0, None, None])
    assert row.n == 1
    assert [(each.unit, each.reason) for each in row.dropped] == [
        ("clip 1", "no value in A"),
        ("clip 2", "no value in B"),
        ("clip 3", "no value in A and B"),
    ]
    assert row.test.p_sign_flip is None  # one clip


def test_holm_runs_over_metrics():
    rng = np.random.default_rng(1)
    a = {name: clips(rng.normal(1, 0.1, 15)) for name in ("x", "y", "z")}
    b = {name: clips(np.array(list(row.values())) + 0.1) for name, row in a.items()}
    b["z"] = clips(rng.normal(1, 0.1, 15))
    rows = {row.metric: row for row in compare(a, b, resampling=QUICK).rows}
    assert rows["x"].p_holm == pytest.approx(3 * rows["x"].test.p_sign_flip)
    assert rows["z"].p_holm == rows["z"].test.p_sign_flip


def test_what_is_not_paired_is_refused():
    with pytest.raises(InputError, match=r"different clips of m: 1 only in A \(c\); 2 only in B \(d, e\)"):
        compare({"m": {"a": 1.0, "c": 1.0}}, {"m": {"a": 1.0, "d": 1.0, "e": 2.0}})
    with pytest.raises(InputError, match=r"different metrics: 1 only in A \(m\)"):
        compare({"m": clips([1.0])}, {})
    with pytest.raises(InputError, match="no clip with a value on both sides, of 2"):
        one([None, 1.0], [1.0, None])
    with pytest.raises(InputError, match="NaN"):
        one([math.nan], [1.0])
    with pytest.raises(InputError, match="no metric"):
        compare({}, {})


def test_a_baseline_that_is_not_positive_has_no_relative_change():
    row = one([-0.1, 0.2], [0.1, 0.3])
    assert (row.change.ratio_of_means, row.change.mean_of_ratios) == (None, None)
    assert row.change.worse == 2
