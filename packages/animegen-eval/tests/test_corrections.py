"""Corrections of a family of p-values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from animegen_eval.statistics.corrections import adjust, benjamini_hochberg, holm

families = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(families)
def test_holm_is_monotone_and_lies_between_raw_and_bonferroni(family):
    adjusted = holm(family)
    assert all(0 <= p <= 1 for p in adjusted)
    order = np.argsort(family, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= -1e-15).all()
    for raw, ours, most in zip(family, adjusted, adjust(family, "bonferroni"), strict=True):
        assert raw - 1e-12 <= ours <= most + 1e-12


@given(families)
def test_benjamini_hochberg_is_never_stricter_than_holm(family):
    for loose, strict in zip(benjamini_hochberg(family), holm(family), strict=True):
        assert loose <= strict + 1e-12


@given(families, st.randoms())
def test_order_does_not_matter(family, random):
    places = list(range(len(family)))
    random.shuffle(places)
    shuffled = holm([family[i] for i in places])
    straight = holm(family)
    assert [straight[i] for i in places] == pytest.approx(shuffled, abs=1e-12)


def test_a_test_that_could_not_be_made_is_no_member():
    assert holm([0.01, None, 0.04]) == pytest.approx((0.02, None, 0.04))
    assert holm([None, None]) == (None, None)
    assert holm([]) == ()


def test_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.02, 0.04, 0.04, 0.02))


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(bad):
    with pytest.raises(ValueError):
        holm([0.5, bad])


@given(families)
@settings(max_examples=10, deadline=None)
def test_holm_and_benjamini_hochberg_are_those_of_statsmodels(family):
    assert holm(family) == pytest.approx(multipletests(family, method="holm")[1], abs=1e-15)
    assert benjamini_hochberg(family) == pytest.approx(multipletests(family, method="fdr_bh")[1], abs=1e-15)
