"""Bootstrap intervals and sign flips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from animegen_eval.statistics import bootstrap, permutation
from animegen_eval.statistics.bootstrap import (
    bca_interval,
    cluster_interval,
    draw_units,
    percentile_interval,
    replicates,
    two_stage_interval,
)
from animegen_eval.statistics.permutation import sign_flip, signed_rank
from animegen_eval.statistics.relative import ratio_of_means


def normal(n: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, n)


def test_blocks_of_draws_are_the_stream_of_one_call(monkeypatch):
    whole = np.random.Generator(np.random.PCG64(5)).integers(0, 41, size=(1003, 41))
    monkeypatch.setattr(bootstrap, "_KEPT", 0)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 41 * 100)
    blocks = list(draw_units(41, 1003, 5))
    assert len(blocks) == 11
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_blocks_of_signs_give_the_p_of_one_call(monkeypatch):
    values = normal(41, mean=0.2)
    whole = sign_flip(values, draws=1003)
    monkeypatch.setattr(permutation, "_KEPT", 0)
    monkeypatch.setattr(permutation, "_AT_ONCE", 41 * 100)
    assert sign_flip(values, draws=1003) == whole
    assert 0 < whole < 1


def test_columns_stay_paired():
    base = np.linspace(1, 9, 30)
    np.testing.assert_allclose(replicates(ratio_of_means, 3 * base, base), 2.0, rtol=1e-12)
    interval = bca_interval(ratio_of_means, 3 * base, base)
    assert interval is None or abs(interval.low - 2) < 1e-9  # no spread: SciPy may find no correction


def test_intervals_lie_around_the_estimate_and_narrow_with_units():
    few, many = normal(20), normal(2000)
    widths = []
    for values in (few, many):
        for interval in (percentile_interval(np.mean, values), bca_interval(np.mean, values)):
            assert interval is not None
            assert interval.low < values.mean() < interval.high
            widths.append(interval.high - interval.low)
    assert max(widths[2:]) < 0.2 * min(widths[:2])


def test_coverage_of_the_percentile_interval_is_near_its_level():
    hits = 0
    for seed in range(400):
        interval = percentile_interval(np.mean, normal(40, seed), draws=400, seed=seed)
        assert interval is not None
        hits += not interval.excludes(0.0)
    assert 0.90 <= hits / 400 <= 0.98


def test_bca_leans_towards_the_long_tail():
    skewed = np.random.default_rng(3).lognormal(0, 1.2, 30)
    plain, corrected = percentile_interval(np.mean, skewed), bca_interval(np.mean, skewed)
    assert plain is not None
    assert corrected is not None
    assert corrected.low > plain.low
    assert corrected.high > plain.high


def test_equal_units_have_an_interval_of_no_width():
    for interval in (percentile_interval(np.mean, np.full(5, 2.0)), bca_interval(np.mean, np.full(5, 2.0))):
        assert interval is not None
        assert (interval.low, interval.high) == (2.0, 2.0)


def test_one_unit_or_one_cluster_has_no_interval():
    assert percentile_interval(np.mean, np.array([1.0])) is None
    assert bca_interval(np.mean, np.array([1.0])) is None
    assert cluster_interval(normal(8), ["one"] * 8) is None
    assert two_stage_interval(normal(8), ["one"] * 8) is None


def test_a_ratio_to_nothing_has_no_interval():
    base = np.array([0.0, 0.0, 0.0, 1.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        assert percentile_interval(ratio_of_means, np.ones(4), base) is None
        assert bca_interval(ratio_of_means, np.ones(4), base) is None


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [np.inf, 1.0]])
def test_columns_are_finite_and_there(bad):
    with pytest.raises(ValueError):
        replicates(np.mean, np.array(bad))
    with pytest.raises(ValueError):
        sign_flip(np.array(bad))


def test_clusters_widen_the_interval_of_what_they_share():
    titles = [f"title {i // 20}" for i in range(100)]
    values = np.repeat(normal(5, 1, 0.0), 20) + 0.1 * normal(100, 2)
    pairs, clusters, both = (
        percentile_interval(np.mean, values),
        cluster_interval(values, titles),
        two_stage_interval(values, titles),
    )
    assert pairs is not None
    assert clusters is not None
    assert both is not None
    assert clusters.high - clusters.low > 2 * (pairs.high - pairs.low)
    assert both.high - both.low == pytest.approx(clusters.high - clusters.low, rel=0.1)


def test_two_stages_of_unequal_clusters_weigh_clusters_alike():
    values = np.concatenate([np.zeros(1), np.ones(50)])
    titles = ["a"] + ["b"] * 50
    interval = two_stage_interval(values, titles, draws=2000)
    assert interval is not None
    assert (interval.low, interval.high) == (0.0, 1.0)
    draws = bootstrap.replicates(np.mean, np.array([0.0, 1.0]), draws=2000)
    assert draws.mean() == pytest.approx(0.5, abs=0.05)


def test_two_stages_draw_within_clusters_too():
    spread = np.tile(np.linspace(-1, 1, 25), 4)  # clusters are all alike: only what is inside them varies
    titles = [f"{i // 25}" for i in range(100)]
    once, twice = cluster_interval(spread, titles), two_stage_interval(spread, titles)
    assert once is not None
    assert twice is not None
    assert once.high - once.low == 0
    expected = 2 * 1.96 * spread.std() / 10
    assert twice.high - twice.low == pytest.approx(expected, rel=0.1)


def test_sign_flips_of_no_effect_are_uniform():
    found = np.array([sign_flip(normal(12, seed), draws=199, seed=seed) for seed in range(600)])
    for share in (0.05, 0.2, 0.5, 0.8):
        assert (found <= share).mean() == pytest.approx(share, abs=0.06)


def test_sign_flips_of_few_units_are_the_share_of_all_flips():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert sign_flip(values, draws=20_000) == pytest.approx(2 / 16, abs=0.01)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.sampled_from([-1.0, 1e-6, 1e9]))
@settings(max_examples=50, deadline=None)
def test_sign_flips_know_neither_direction_nor_scale(values, scale):
    units = np.array(values)
    p = sign_flip(units, draws=200)
    assert 0 < p <= 1
    if not units.any():
        assert p == 1
    if np.abs(units).max() > 1e-3:
        assert sign_flip(units * scale, draws=200) == p


def rank_sum(values):
    return float(stats.rankdata(np.abs(values)) @ (values > 0))


@pytest.mark.parametrize(
    "units", [[1.0, 1.0, -2.0, 3.0, 0.0], [-1.0, -1.0, -1.0, 4.0, 4.0, 2.5], [3.0, -1.0, 2.0], [0.0, 5.0, -5.0, 5.0]]
)
def test_signed_ranks_are_those_of_all_flips(units):
    values = np.array([unit for unit in units if unit])
    exact = stats.permutation_test((values,), rank_sum, permutation_type="samples", n_resamples=np.inf)
    assert signed_rank(np.array(units)) == pytest.approx(exact.pvalue, abs=1e-12)


def test_signed_ranks_of_nothing_but_zeros():
    assert signed_rank(np.zeros(5)) == 1
