"""Factorial designs: effects of models that are known, what is dropped, where effects turn round."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from animegen.errors import InputError, UsageError
from animegen_eval.statistics.design import Design, Factor
from animegen_eval.statistics.factorial import analyse, joint_holm
from animegen_eval.statistics.permutation import sign_flip
from animegen_eval.statistics.records import Resampling, plain

QUICK = Resampling(draws=200)
DESIGN = Design(tuple(Factor(name, ("off", "on")) for name in ("balloon", "preprocess", "upsampling")))


def scores(design: Design, values: np.ndarray) -> dict[str, dict[tuple[str, ...], float | None]]:
    return {f"pair {i}": dict(zip(design.cells, map(float, row), strict=True)) for i, row in enumerate(values)}


def coded(design: Design, coefficients: dict[str, float]) -> np.ndarray:
    """Cell values of a model of two-level factors: each term adds half its coefficient times its codes."""
    found = []
    for codes in product((-1, 1), repeat=len(design.factors)):
        code = dict(zip((factor.name for factor in design.factors), codes, strict=True))
        found.append(sum(c / 2 * math.prod(code[name] for name in term.split(":")) for term, c in coefficients.items()))
    return np.array(found)


@given(
    st.integers(1, 4).flatmap(
        lambda k: st.tuples(st.just(k), st.lists(st.floats(-5, 5), min_size=2**k - 1, max_size=2**k - 1))
    )
)
@settings(max_examples=30, deadline=None)
def test_every_effect_of_a_model_comes_back(case):
    k, coefficients = case
    design = Design(tuple(Factor(f"f{i}", ("a", "b")) for i in range(k)))
    wanted = dict(zip((term.name for term in design.terms), coefficients, strict=True))
    pairs = np.random.default_rng(1).normal(10, 3, (4, 1))  # what each pair adds to all its cells
    values = pairs + coded(design, wanted)
    for term in design.terms:
        np.testing.assert_allclose(design.contrast(values, term), wanted[term.name], atol=1e-12)


def test_terms_and_cells_are_in_the_order_of_the_design():
    assert [term.name for term in DESIGN.terms] == [
        "balloon",
        "preprocess",
        "upsampling",
        "balloon:preprocess",
        "balloon:upsampling",
        "preprocess:upsampling",
        "balloon:preprocess:upsampling",
    ]
    assert DESIGN.cells[4 * 1 + 2 * 0 + 1] == ("on", "off", "on")


def test_a_factor_of_three_levels_has_a_contrast_for_each_beyond_the_first():
    design = Design((Factor("preprocess", ("none", "lab", "descreen")), Factor("balloon", ("off", "on"))))
    assert [term.name for term in design.terms] == [
        "preprocess=lab",
        "preprocess=descreen",
        "balloon",
        "preprocess=lab:balloon",
        "preprocess=descreen:balloon",
    ]
    #        none off, on; lab off, on; descreen off, on
    values = np.array([[10.0, 11, 7, 8, 4, 9]])
    found = {term.name: design.contrast(values, term)[0] for term in design.terms}
    assert found["preprocess=lab"] == -3  # (7 + 8 - 10 - 11) / 2
    assert found["preprocess=descreen"] == -4  # (4 + 9 - 10 - 11) / 2
    assert found["balloon"] == pytest.approx((1 + 1 + 5) / 3)  # all levels weigh the same
    assert found["preprocess=lab:balloon"] == 0  # the balloon's effect is 1 under both
    assert found["preprocess=descreen:balloon"] == 2  # half of 5 - 1


def test_no_effect_is_exactly_none():
    row = 0.1 + 0.2 * np.arange(5)[:, None]
    result = analyse(DESIGN, scores(DESIGN, np.repeat(row, 8, axis=1)), resampling=QUICK)
    for effect in result.effects:
        assert (effect.test.mean, effect.test.p_t, effect.test.p_sign_flip, effect.p_holm) == (0, 1, 1, 1)
    assert not result.reversals
    assert not any(each.shown for each in result.dominance)


def test_an_additive_model_has_no_interaction_even_in_the_last_bit():
    values = np.random.default_rng(0).normal(1, 0.1, (12, 1)) + coded(DESIGN, {"balloon": 0.3, "upsampling": -0.1})
    result = analyse(DESIGN, scores(DESIGN, values), resampling=QUICK)
    assert all(effect.test.mean == 0 for effect in result.effects if len(effect.levels) > 1)
    assert [effect.name for effect in result.effects if (effect.p_holm or 0) < 0.05] == ["balloon", "upsampling"]


def test_p_values_of_no_effect_are_uniform():
    found = []
    for seed in range(40):
        values = np.random.default_rng(seed).normal(0, 1, (10, 8))
        contrasts = [DESIGN.contrast(values, term) for term in DESIGN.terms]
        found += [(stats.ttest_1samp(each, 0).pvalue, sign_flip(each, draws=100)) for each in contrasts]
    table = np.array(found)
    for share in (0.1, 0.5, 0.9):
        np.testing.assert_allclose((table <= share).mean(axis=0), share, atol=0.1)


def noisy(coefficients: dict[str, float], n: int = 30, sd: float = 0.2) -> np.ndarray:
    noise = np.random.default_rng(4).normal(0, sd, (n, 8))
    return 5 + noise + coded(DESIGN, coefficients)


def test_a_reversal_is_found_with_the_strength_of_its_evidence():
    result = analyse(DESIGN, scores(DESIGN, noisy({"balloon:preprocess": 1.0})), resampling=QUICK)
    strong = [each for each in result.reversals if each.evidence == "both"]
    assert {(each.factor, each.by) for each in strong} == {("balloon", "preprocess"), ("preprocess", "balloon")}
    averaged = next(each for each in strong if each.factor == "balloon" and not each.at)
    assert averaged.first.at == (("preprocess", "off"),)
    assert averaged.first.test.mean == pytest.approx(-1, abs=0.15)
    assert averaged.second.test.mean == pytest.approx(1, abs=0.15)
    assert [each.evidence for each in result.reversals] == sorted(
        (each.evidence for each in result.reversals), key=["both", "one", "none"].index
    )


def test_an_interaction_without_a_change_of_sign_is_no_reversal():
    result = analyse(DESIGN, scores(DESIGN, noisy({"balloon": 2.0, "balloon:preprocess": 1.0})), resampling=QUICK)
    assert not [each for each in result.reversals if each.factor == "balloon"]
    assert result.effect("balloon:preprocess").p_holm < 1e-6


def test_simple_effects_are_two_families():
    result = analyse(DESIGN, scores(DESIGN, noisy({"balloon": 1.0})), resampling=QUICK)
    assert [len(effect.at) for effect in result.simple] == [1] * 12 + [2] * 12
    two = Design(DESIGN.factors[:2])
    values = noisy({"balloon": 1.0})[:, ::2]
    assert len(analyse(two, scores(two, values), resampling=QUICK).simple) == 4
    one = Design(DESIGN.factors[:1])
    assert analyse(one, scores(one, values[:, :2]), resampling=QUICK).simple == ()


def test_dominance_compares_sizes_whatever_the_signs():
    clear = analyse(DESIGN, scores(DESIGN, noisy({"balloon": 0.5, "upsampling": -2.0})), resampling=QUICK)
    assert [(each.larger, each.smaller, each.shown) for each in clear.dominance] == [
        ("upsampling", "balloon", True),
        ("upsampling", "preprocess", True),
    ]
    assert clear.dominance[0].difference == pytest.approx(1.5, abs=0.15)
    close = analyse(DESIGN, scores(DESIGN, noisy({"balloon": 1.0, "upsampling": -1.0})), resampling=QUICK)
    assert not close.dominance[0].shown


def test_a_pair_with_a_missing_or_infinite_cell_is_dropped_from_all_and_counted():
    table = scores(DESIGN, noisy({"balloon": 1.0}, 6))
    table["pair 1"][DESIGN.cells[3]] = None
    del table["pair 2"][DESIGN.cells[0]]
    table["pair 4"][DESIGN.cells[7]] = math.inf
    result = analyse(DESIGN, table, metric="psnr", resampling=QUICK)
    assert result.n == 3
    assert [(each.unit, each.reason) for each in result.dropped] == [
        ("pair 1", "no value in off/on/on"),
        ("pair 2", "no value in off/off/off"),
        ("pair 4", "infinite in a cell"),
    ]
    rest = {unit: table[unit] for unit in ("pair 0", "pair 3", "pair 5")}
    assert result.effects == analyse(DESIGN, rest, resampling=QUICK).effects


def test_titles_show_how_far_an_effect_holds():
    values = noisy({"balloon": 1.0}, 12)
    values[:4] += coded(DESIGN, {"balloon": 3.0})
    titles = {f"pair {i}": f"title {i // 4}" for i in range(12)}
    found = analyse(DESIGN, scores(DESIGN, values), titles=titles, resampling=QUICK).effect("balloon").titles
    assert [(each.title, each.n) for each in found.effects] == [("title 0", 4), ("title 1", 4), ("title 2", 4)]
    assert [each.effect for each in found.effects] == pytest.approx([4, 1, 1], abs=0.3)
    assert found.leave_one_out == pytest.approx((1, 2.5), abs=0.3)
    assert found.interval.low < 1.5 < 3 < found.interval.high
    assert not found.reliable
    alone = analyse(DESIGN, scores(DESIGN, values), titles=dict.fromkeys(titles, "one"), resampling=QUICK)
    assert alone.effect("balloon").titles is None


def test_one_pair_has_estimates_and_no_tests():
    result = analyse(DESIGN, scores(DESIGN, noisy({"balloon": 1.0}, 1)), resampling=QUICK)
    effect = result.effect("balloon")
    assert effect.test.mean == pytest.approx(1, abs=0.5)
    assert (effect.test.p_t, effect.p_holm, effect.test.percentile) == (None, None, None)
    assert {each.evidence for each in result.reversals} <= {"none"}


def test_two_pairs_that_agree_exactly_prove_little():
    values = np.array([[1.0], [2.0]]) + coded(DESIGN, {"balloon": 1.0})
    effect = analyse(DESIGN, scores(DESIGN, values), resampling=QUICK).effect("balloon")
    assert effect.test.t == math.inf
    assert effect.test.p_t == effect.test.p_sign_flip > 0.3


def test_relative_change_goes_both_ways_of_averaging():
    values = np.tile([2.0, 1.0], (4, 4))
    values[0] = [20.0, 18.0] * 4
    cell = analyse(DESIGN, scores(DESIGN, values), better="lower", resampling=QUICK).cells[1]
    assert cell.change.ratio_of_means == pytest.approx(21 / 26 - 1)
    assert cell.change.mean_of_ratios == pytest.approx((0.9 + 3 * 0.5) / 4 - 1)
    assert (cell.change.improved, cell.change.worse) == (4, 0)


def test_joint_holm_counts_all_metrics():
    results = [analyse(DESIGN, scores(DESIGN, noisy({"balloon": 0.05})), resampling=QUICK) for _ in range(2)]
    together = joint_holm(results)
    alone, both = results[0].effect("balloon"), together[0].effect("balloon")
    assert both.p_holm == pytest.approx(min(1, 2 * alone.test.p_t * 7))
    assert alone.p_holm <= both.p_holm


def test_results_are_json():
    text = json.dumps(plain(analyse(DESIGN, scores(DESIGN, noisy({"balloon": 1.0}, 3)), resampling=QUICK)))
    document = json.loads(text)
    assert document["effects"][0]["name"] == "balloon"
    assert document["design"]["factors"][0] == {"name": "balloon", "levels": ["off", "on"]}
    assert plain(math.inf) == "inf"
    with pytest.raises(ValueError, match="NaN"):
        plain({"value": math.nan})
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_what_cannot_be_analysed_says_so():
    table = scores(DESIGN, noisy({}, 2))
    with pytest.raises(InputError, match="No pair has a value of psnr in all 8 cells"):
        analyse(DESIGN, {"a": {DESIGN.cells[0]: 1.0}}, metric="psnr")
    with pytest.raises(InputError, match="NaN"):
        analyse(DESIGN, {"a": dict.fromkeys(DESIGN.cells, math.nan)})
    with pytest.raises(InputError, match="pair 0 has no title"):
        analyse(DESIGN, table, titles={})
    with pytest.raises(InputError, match="not of the design: off/on/maybe"):
        analyse(DESIGN, {"a": {("off", "on", "maybe"): 1.0}})
    with pytest.raises(UsageError, match="two or more"):
        Factor("balloon", ("on",))
    with pytest.raises(UsageError, match="names of their own"):
        Design((DESIGN.factors[0], DESIGN.factors[0]))
    with pytest.raises(ValueError, match="draws"):
        Resampling(draws=10)
