"""Two-choice studies."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animegen.errors import InputError
from animegen_eval.statistics.agreement import cohen, fleiss, krippendorff_alpha
from animegen_eval.statistics.binomial import share_test, two_sided
from animegen_eval.statistics.bradley_terry import bradley_terry, with_half_wins
from animegen_eval.statistics.records import plain
from animegen_eval.statistics.sample_size import (
    critical_wins,
    design_effect,
    half_width,
    power,
    votes_needed,
    votes_to_ask,
)
from animegen_eval.statistics.votes import analyse_study, position_bias, rater_interval


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_the_test_and_its_interval_agree_and_sides_mirror(wins, losses):
    test, mirrored = share_test(wins, losses), share_test(losses, wins)
    if not wins + losses:
        assert (test.p, test.rate, test.clopper_pearson) == (None, None, None)
        return
    assert test.p == pytest.approx(mirrored.p)
    assert two_sided(wins, test.n, rule="doubled") == pytest.approx(test.p)
    assert test.clopper_pearson.low == pytest.approx(1 - mirrored.clopper_pearson.high)
    assert test.p_mid <= test.p
    if abs(test.p - 0.05) > 1e-9:
        assert test.clopper_pearson.excludes(0.5) == (test.p < 0.05)


def test_counts_are_not_negative():
    with pytest.raises(ValueError):
        share_test(-1, 3)


def test_forty_votes_find_little():
    assert (critical_wins(40), critical_wins(5)) == (27, None)
    assert power(5, 0.9) == 0
    assert power(40, 0.5) <= 0.05
    assert votes_needed(0.9) < votes_needed(0.7)
    with pytest.raises(ValueError, match="more than 100 votes"):
        votes_needed(0.51, most=100)
    assert design_effect(4, 0.2) == pytest.approx(1.6)
    assert votes_to_ask(25, tie_share=0.2, effect=1.6) == 50
    assert half_width(41) == pytest.approx((half_width(40) + half_width(42)) / 2, rel=1e-3)


def test_a_study_reads_votes_and_gaps():
    axis, other = analyse_study({"motion": [["A", "A", None], ["B", "A", "N"]], "lines": [["A", "B"], ["N", "N"]]})
    assert (axis.decisive.wins, axis.decisive.losses, axis.no_preference) == (3, 1, 1)
    assert axis.ties_split_rate == 3.5 / 5
    assert (axis.raters.for_a, axis.raters.for_b, axis.raters.tied) == (1, 0, 1)
    assert axis.kappa is None  # a pair was not judged
    assert other.kappa is not None
    assert axis.p_holm == pytest.approx(min(1, 2 * axis.decisive.p))
    json.dumps(plain((axis, other)), allow_nan=False)


def test_no_decisive_vote_is_no_test():
    (axis,) = analyse_study({"motion": [["N", "N"], ["N", "N"]]})
    assert (axis.decisive.p, axis.p_holm, axis.rater_interval, axis.alpha) == (None, None, None, None)
    assert (axis.no_preference_share, axis.ties_split_rate) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("votes", "told"), [([["A"], ["A", "B"]], "unequal"), ([["a"]], "expected A, B or N"), ([[None]], "no vote")]
)
def test_what_is_no_vote_is_refused(votes, told):
    with pytest.raises(InputError, match=told):
        analyse_study({"motion": votes})


def test_raters_of_one_mind_widen_the_interval():
    minds = [["A"] * 8] * 7 + [["B"] * 8] * 3
    mixed = [list("AAAAAABB")] * 9 + [list("AABBBBBB")]  # 56 votes of 80 for A as well
    wide, narrow = rater_interval(minds), rater_interval(mixed)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert rater_interval([["A"]]) is None


def test_position_bias():
    assert position_bias(["left"] * 20).p < 1e-4
    assert position_bias(["left", "right"] * 10).p == 1


def test_agreement_by_hand():
    assert krippendorff_alpha([list("AAB"), list("AAB")]) == 1
    # Items AB and AA: observed disagreement 1/2; of four ratings, three A: expected 2 * 3 / (4 * 3) = 1/2.
    assert krippendorff_alpha([list("AA"), list("BA")]) == pytest.approx(0)
    gaps = krippendorff_alpha([["A", "A", "B", None], ["A", "B", "B", "A"]])
    assert gaps == krippendorff_alpha([list("AAB"), list("ABB")])  # an item with one rating says nothing
    assert krippendorff_alpha([list("AA"), list("AA")]) is None
    assert krippendorff_alpha([["A", None], [None, "B"]]) is None
    assert fleiss([list("AB"), list("AB")]) == pytest.approx(1)
    assert fleiss([list("AA")]) is None
    assert cohen(list("AABB"), list("AABB")) == pytest.approx(1)
    assert cohen(list("AA"), list("AA")) is None


def test_two_systems_have_the_odds_as_strength():
    result = bradley_terry(np.array([[0, 30], [10, 0]]), ("ours", "theirs"))
    assert result.strengths[0] - result.strengths[1] == pytest.approx(np.log(3), abs=1e-6)
    assert result.chance(0, 1) == pytest.approx(0.75, abs=1e-6)
    assert (result.deviance_df, result.deviance_p) == (0, None)
    assert result.deviance == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=5))
@settings(max_examples=20, deadline=None)
def test_strengths_come_back_from_expected_wins(strengths):
    wanted = np.array(strengths) - np.mean(strengths)
    wins = 200 / (1 + np.exp(wanted[None] - wanted[:, None]))
    np.fill_diagonal(wins, 0)
    result = bradley_terry(wins)
    np.testing.assert_allclose(result.strengths, wanted, atol=1e-5)
    assert sum(result.strengths) == pytest.approx(0, abs=1e-9)
    assert result.deviance < 1e-6


def test_ties_as_half_wins_pull_together():
    wins, ties = np.array([[0, 9], [1, 0]]), np.array([[0, 10], [10, 0]])
    assert bradley_terry(with_half_wins(wins, ties)).chance(0, 1) == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize(
    ("wins", "told"),
    [
        ([[0, 3, 2], [1, 0, 2], [0, 0, 0]], "c never won"),
        ([[0, 3, 2], [0, 0, 2], [0, 1, 0]], "never"),
        ([[0, 1, 0], [1, 0, 0], [0, 0, 0]], "no vote between a, b and c"),
        ([[1, 2], [3, 0]], "square table"),
        ([[0, -1], [3, 0]], "square table"),
    ],
)
def test_where_there_is_no_finite_estimate_it_says_so(wins, told):
    with pytest.raises(InputError, match=told):
        bradley_terry(np.array(wins), tuple("abcd"[: len(wins)]))
