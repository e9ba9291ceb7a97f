"""Every golden number of the statistics; ``--goldens DIR`` runs the cases of a folder.

A case's file is a JSON document with a section named as the kind (as the reference set's ``golden.json`` has them),
or that section alone. What a section holds and nothing here answers is a failure, so that no number goes unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from animegen_eval.statistics.agreement import cohen
from animegen_eval.statistics.binomial import mid_p, share_interval, share_test, two_sided
from animegen_eval.statistics.bootstrap import percentile_interval
from animegen_eval.statistics.bradley_terry import bradley_terry as fit
from animegen_eval.statistics.corrections import adjust
from animegen_eval.statistics.design import Design, Factor
from animegen_eval.statistics.factorial import analyse
from animegen_eval.statistics.mean_test import mean_test
from animegen_eval.statistics.records import Interval, Resampling
from animegen_eval.statistics.relative import ratio_of_means
from animegen_eval.statistics.sample_size import critical_wins, half_width, power, votes_needed, votes_needed_normal
from animegen_eval.statistics.votes import analyse_study, rater_interval
from animegen_testing.goldens import GoldenCase

Answers = Mapping[str, Callable[[str], Any]]


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def section(case: GoldenCase) -> Any:
    document = case.document
    return document.get(case.kind, document) if isinstance(document, dict) else document


def check(case: GoldenCase, place: str, golden: Mapping[str, Any], answers: Answers) -> None:
    """Each golden value against the answer whose name the key starts with; the longest such name counts."""
    for key, expected in golden.items():
        fitting = sorted((name for name in answers if key.startswith(name)), key=len)
        if not fitting:
            pytest.fail(f"{case.name}: nothing answers {place}{key}")
        case.compare(f"{place}{key}", answers[fitting[-1]](key), expected)


def resampling(key: str) -> Resampling:
    found = re.search(r"seed (\d+), (\d+)", key)
    assert found, key
    seed, draws = int(found[1]), int(found[2])
    return Resampling(draws=draws, seed=seed, bca_seed=seed, title_seed=seed)


def binomial(case: GoldenCase) -> None:
    for row in section(case):
        wins, losses = row["wins"], row["losses"]
        n, test = wins + losses, share_test(wins, losses)
        answers: Answers = {
            "two_sided_p": lambda _, test=test: test.p,
            "one_sided_greater_p": lambda _, test=test: test.p_greater,
            "rate": lambda _, test=test: test.rate,
            "mid_p": lambda _, wins=wins, n=n: mid_p(wins, n),
            "clopper_pearson": lambda _, test=test: ends(test.clopper_pearson),
            "wilson": lambda _, test=test: ends(test.wilson),
            "agresti_coull": lambda _, wins=wins, n=n: ends(share_interval(wins, n, "agresti-coull")),
            "jeffreys": lambda _, wins=wins, n=n: ends(share_interval(wins, n, "jeffreys")),
            "scipy_exact": lambda _, test=test: ends(test.clopper_pearson),
            "scipy_wilson": lambda _, test=test: ends(test.wilson),
        }
        check(case, f"{wins}-{losses}/", {k: v for k, v in row.items() if k not in ("wins", "losses")}, answers)


def binomial_other_null(case: GoldenCase) -> None:
    for row in section(case):
        arguments = row["k"], row["n"], row["p0"]
        answers: Answers = {
            "two_sided_p": lambda _, a=arguments: two_sided(*a),
            "twice_smaller_tail": lambda _, a=arguments: two_sided(*a, rule="doubled"),
        }
        check(case, f"{arguments}/", {k: v for k, v in row.items() if k not in ("k", "n", "p0")}, answers)


def sample_size(case: GoldenCase) -> None:
    answers: Answers = {
        "power_table": lambda key: power(int(key.split("/")[1][2:]), float(key.split("/")[2][2:])),
        "critical_wins": lambda key: critical_wins(int(key.split("/")[1])),
        "decisive_votes_needed": lambda key: (votes_needed_normal if "normal" in key else votes_needed)(
            float(key.split("/")[1])
        ),
        "half_width": lambda key: half_width(int(key.split("/")[1])),
    }
    check(case, "", dict(leaves(section(case))), answers)


def study(case: GoldenCase) -> None:
    golden = section(case)
    votes = {name: [list(rater) for rater in axis["votes_rater_by_pair"]] for name, axis in golden["axes"].items()}
    axes = {axis.name: axis for axis in analyse_study(votes)}
    for name, expected in golden["axes"].items():
        axis = axes[name]
        answers: Answers = {
            "A": lambda _, axis=axis: axis.decisive.wins,
            "B": lambda _, axis=axis: axis.decisive.losses,
            "no_preference": lambda _, axis=axis: axis.no_preference,
            "decisive": lambda _, axis=axis: axis.decisive.n,
            "two_sided_p": lambda _, axis=axis: axis.decisive.p,
            "rate_A": lambda _, axis=axis: axis.decisive.rate,
            "clopper_pearson": lambda _, axis=axis: ends(axis.decisive.clopper_pearson),
            "wilson": lambda _, axis=axis: ends(axis.decisive.wilson),
            "no_preference_share": lambda _, axis=axis: axis.no_preference_share,
            "ties_split_rate_A": lambda _, axis=axis: axis.ties_split_rate,
            "rater_level_sign_test/raters_for_A": lambda _, axis=axis: axis.raters.for_a,
            "rater_level_sign_test/raters_for_B": lambda _, axis=axis: axis.raters.for_b,
            "rater_level_sign_test/raters_tied": lambda _, axis=axis: axis.raters.tied,
            "rater_level_sign_test/two_sided_p": lambda _, axis=axis: axis.raters.test.p,
            "fleiss_kappa": lambda _, axis=axis: axis.kappa,
            "krippendorff_alpha_nominal_3": lambda _, axis=axis: axis.alpha,
            "krippendorff_alpha_nominal_decisive": lambda _, axis=axis: axis.alpha_decisive,
            "cohen_kappa": lambda _, name=name: cohen(votes[name][0], votes[name][1]),
            "rater_bootstrap": lambda key, name=name: ends(
                rater_interval(votes[name], draws=resampling(key).draws, seed=resampling(key).seed)
            ),
        }
        check(case, f"{name}/", {k: v for k, v in leaves(expected) if k != "votes_rater_by_pair"}, answers)
    raw = [golden["p_raw"][name] for name in golden["p_raw"]]
    for key, method in (("p_bonferroni", "bonferroni"), ("p_fdr_bh", "benjamini-hochberg"), ("p_holm", "holm")):
        case.compare(key, adjust(raw, method), list(golden[key].values()))
    case.compare("p_raw", [axes[name].decisive.p for name in golden["p_raw"]], raw)
    case.compare("holm over axes", [axes[name].p_holm for name in golden["p_holm"]], list(golden["p_holm"].values()))


def bradley_terry(case: GoldenCase) -> None:
    golden = section(case)
    result = fit(np.array(golden["wins_row_over_column"]))
    answers: Answers = {
        "log_strength": lambda _: result.strengths,
        "choix_ilsr": lambda _: result.strengths,
        "standard_error": lambda _: result.errors,
        "p_0_beats_1": lambda _: result.chance(0, 1),
        "goodness_of_fit_deviance": lambda _: result.deviance,
        "goodness_of_fit_df": lambda _: result.deviance_df,
        "goodness_of_fit_p": lambda _: result.deviance_p,
        "log_likelihood": lambda _: result.log_likelihood,
        "equal_strength_lr_chi2": lambda _: result.equal_chi2,
    }
    given = ("wins_row_over_column", "ties_as_half_wins_rule")
    check(case, "", {k: v for k, v in golden.items() if k not in given}, answers)


def factorial(case: GoldenCase) -> None:
    golden = section(case)
    with np.load(case.path.parent / case.configuration.get("inputs", "factorial.npz")) as archive:
        arrays = dict(archive)
    names = golden["cell_order"][0].split(" = ")[0].split(",")
    design = Design(tuple(Factor(name, ("0", "1")) for name in names))
    titles = {f"pair {i}": str(title) for i, title in enumerate(arrays["fact_title"])}
    for metric in [key for key in golden if key != "cell_order"]:
        values = arrays[f"fact_{metric}"]
        scores = {unit: dict(zip(design.cells, row, strict=True)) for unit, row in zip(titles, values, strict=True)}
        result = analyse(design, scores, better="lower", titles=titles)
        check(
            case,
            f"{metric}/cell_means/",
            golden[metric]["cell_means"],
            {"".join(cell.levels): lambda _, cell=cell: cell.mean for cell in result.cells},
        )
        raw = [effect.test.p_t for effect in result.effects]
        for place, term in enumerate(design.terms):
            expected = golden[metric]["effects"][term.name]
            answers = effect_answers(result.effects[place], design.contrast(values, term), list(titles.values()))
            for key, method in (("p_holm", "holm"), ("p_bonferroni", "bonferroni"), ("p_hommel", "hommel")):
                assert key in expected
                case.compare(f"{metric}/{term.name}/{key} again", adjust(raw, method)[place], expected[key])
            answers |= {
                "p_bonferroni": lambda _, i=place, raw=raw: adjust(raw, "bonferroni")[i],
                "p_hommel": lambda _, i=place, raw=raw: adjust(raw, "hommel")[i],
            }
            check(case, f"{metric}/{term.name}/", expected, answers)
        full_against_baseline(case, metric, golden[metric]["full_vs_baseline"], result, values)
        simple = {(e.factor, frozenset(level for _, level in e.at)): e for e in result.simple if len(e.at) > 1}
        for key, expected in golden[metric]["simple_effects"].items():
            factor, _, state = key.partition(" with others ")
            ours = simple[factor, frozenset({"on": "1", "off": "0"}[state])].test.mean
            case.compare(f"{metric}/simple/{key}", ours, expected)


def effect_answers(effect: Any, contrast: Any, titles: list[str]) -> dict[str, Callable[[str], Any]]:
    test = effect.test

    def drawn(key: str) -> Any:
        return mean_test(contrast, resampling(key))

    def by_title(key: str) -> Any:
        assert effect.titles.interval.seed == resampling(key).title_seed
        assert effect.titles.interval.draws == resampling(key).draws
        return ends(effect.titles.interval)

    def flipped(key: str) -> float:
        draws, seed = map(int, re.fullmatch(r"p_sign_flip_(\d+)_seed_(\d+)", key).groups())
        return mean_test(contrast, replace(Resampling(), draws=draws, flip_seed=seed)).p_sign_flip

    return {
        "effect": lambda _: test.mean,
        "sd_of_contrast": lambda _: test.sd,
        "t": lambda _: test.t,
        "df": lambda _: test.df,
        "p_t": lambda _: test.p_t,
        "anova_rm_F": lambda _: test.t**2,
        "anova_rm_p": lambda _: test.p_t,
        "p_wilcoxon": lambda _: test.p_wilcoxon,
        "p_sign_flip": flipped,
        "bootstrap_percentile": lambda key: ends(drawn(key).percentile),
        "bootstrap_bca": lambda key: ends(drawn(key).bca),
        "t_interval": lambda _: ends(test.t_interval),
        "title_cluster_bootstrap": by_title,
        "cohens_dz": lambda _: test.dz,
        "p_holm": lambda _: effect.p_holm,
        "p_fdr_bh": lambda _: effect.p_benjamini_hochberg,
    }


def full_against_baseline(case: GoldenCase, metric: str, golden: Any, result: Any, values: Any) -> None:
    change, last, first = result.cells[-1].change, values[:, -1], values[:, 0]

    def ratio(key: str) -> Any:
        how = resampling(key)
        return ends(percentile_interval(ratio_of_means, last, first, draws=how.draws, seed=how.seed))

    answers: Answers = {
        "relative_change_of_means": lambda _: change.ratio_of_means,
        "mean_of_relative_changes": lambda _: change.mean_of_ratios,
        "paired_bootstrap": ratio,
        "p_wilcoxon": lambda _: mean_test(last - first).p_wilcoxon,
        "p_t": lambda _: mean_test(last - first).p_t,
        "pairs_improved": lambda _: change.improved,
    }
    check(case, f"{metric}/full/", golden, answers)


def leaves(document: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{place}{key}/")
        else:
            yield f"{place}{key}", value


def test_parity(golden_case: GoldenCase) -> None:
    runners = (binomial, binomial_other_null, sample_size, study, bradley_terry, factorial)
    golden_case.run({runner.__name__: runner for runner in runners})
