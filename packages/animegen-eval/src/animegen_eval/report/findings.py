"""Findings in sentences. A sentence says what an interval and a corrected test allow, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from animegen_eval.report.analysis import Contest, Effects
from animegen_eval.report.numbers import chance, estimate, number, span
from animegen_eval.statistics.factorial import Effect, FactorialResult
from animegen_eval.statistics.simple_effects import Reversal, SimpleEffect
from animegen_eval.summary import GateResult

ALPHA = 0.05
MANY = 3
"""More quantities than this that say the same thing are told in one sentence."""

Kind = Literal["effect", "turn", "rank", "diagnostic", "nothing", "caution"]


@dataclass(frozen=True)
class Finding:
    """A sentence.

    Attributes:
        kind: What it is about: an effect, a turn of one (non-monotone), a rank, an effect on a quantity of which
            neither direction is better, that nothing is shown, a caution.
        text: The sentence.
        quantity: What it was measured by; empty for all.
    """

    kind: Kind
    text: str
    quantity: str = ""


def is_shown(effect: Effect | SimpleEffect) -> bool:
    """Whether an effect is told as one: its corrected p is below 5 % and its interval excludes 0."""
    interval = effect.test.percentile
    return effect.p_holm is not None and effect.p_holm < ALPHA and interval is not None and interval.excludes(0.0)


def of_ablation(found: Sequence[Effects]) -> list[Finding]:
    """What an ablation shows: effects that turn round first, then main effects, interactions, and what is not shown."""
    able = [one for one in found if one.result is not None and not one.contest.disqualified]
    said: list[Finding] = []
    for one in able:
        assert one.result is not None
        said += [Finding("turn", turn(r, one.result), one.result.metric) for r in turns(one.result) if _sure(r)]
    for one in able:
        assert one.result is not None
        shown = [effect for effect in one.result.effects if is_shown(effect)]
        kind: Kind = "effect" if one.contest.ranks else "diagnostic"
        said += [Finding(kind, effect_sentence(effect, one.result), one.result.metric) for effect in shown]
    idle: dict[str, list[str]] = {}
    for one in able:
        assert one.result is not None
        for name in unchanged(one.result):
            idle.setdefault(name, []).append(one.result.metric)
    for name, where in idle.items():
        if len(where) == len(able):
            said.append(Finding("nothing", f"At equal times {name} changes nothing whatever in any quantity."))
    quiet = [one.result.metric for one in able if one.result and not any(map(is_shown, one.result.effects))]
    if quiet:
        text = f"No effect of any factor is shown in {_listed(quiet)}: that is no proof that there is none."
        said.append(Finding("nothing", text))
    return said


def effect_sentence(effect: Effect, result: FactorialResult) -> str:
    """``balloon-removal (none → flat) lowers lpips-alex by 0.012 (95 % interval …): better.``"""
    test, interval = effect.test, effect.test.percentile
    size = estimate(test.mean, interval)
    evidence = (
        f"({round(100 * interval.level) if interval else 95} % interval {span(interval)}, N = {test.n} pairs, "
        f"Holm p {chance(effect.p_holm)})"
    )
    if len(effect.levels) > 1:
        names = " and ".join(factor for factor, _ in effect.levels)
        return (
            f"{names} interact in {result.metric}: what one does depends on the other; half the difference of its "
            f"effects is {size} {evidence}."
        )
    moved = _moved(*effect.levels[0], result)
    verb = "raises" if test.mean > 0 else "lowers"
    others = " on average over the other factors" if len(result.design.factors) > 1 else ""
    return f"{moved} {verb} {result.metric} by {size.lstrip('+−')}{others} {evidence}{_judged(test.mean, result)}."


def unchanged(result: FactorialResult) -> list[str]:
    """Factors none of whose levels change any pair: the frames are the same, as where an upsampler keeps its own."""
    still: dict[str, bool] = {}
    for effect in result.effects:
        if len(effect.levels) == 1:
            name = effect.levels[0][0]
            still[name] = still.get(name, True) and effect.test.mean == 0 == (effect.test.sd or 0)
    return [name for name, is_still in still.items() if is_still]


def turns(result: FactorialResult) -> list[Reversal]:
    """Effects that turn round, averaged over the rest; those with the rest held only where the average hides them."""
    averaged = [reversal for reversal in result.reversals if not reversal.at]
    told = {(one.factor, one.level, one.by) for one in averaged}
    return [*averaged, *(one for one in result.reversals if one.at and (one.factor, one.level, one.by) not in told)]


def turn(reversal: Reversal, result: FactorialResult) -> str:
    """A non-monotone effect: it goes one way at one level of another factor, and the other way at another."""
    first, second = reversal.first, reversal.second
    before, after = (next(level for name, level in one.at if name == reversal.by) for one in (first, second))
    held = ", ".join(f"{name} {level}" for name, level in reversal.at)
    word = {"both": "turns round", "one": "may turn round", "none": "has two signs, which is not shown to be real,"}
    return (
        f"{_moved(reversal.factor, reversal.level, result)} {word[reversal.evidence]} in {result.metric}"
        f"{f' at {held}' if held else ''}: {_simple(first)} with {reversal.by} {before}, "
        f"{_simple(second)} with {reversal.by} {after}"
        f"{'' if reversal.evidence != 'one' else '; only one of the two is told from 0'}."
    )


def of_systems(found: Sequence[Contest]) -> list[Finding]:
    """Which system leads in what, where a paired interval allows to say so."""
    said: list[Finding] = []
    for one in found:
        if not one.ranks or one.best is None:
            continue
        where = one.first.quantity + (f" at gap {one.first.gap}" if one.first.gap else "")
        best = next(figure for figure in one.figures if figure.config == one.best)
        against = f"{one.second} by a paired difference of {span(one.lead)} (95 % interval, N = {one.paired})"
        if not one.undecided:
            text = f"{one.best} has the best {where}, {number(best.mean)}; it is ahead of the next one, {against}."
            said.append(Finding("rank", text, one.first.quantity))
        else:
            mean, others = number(best.mean), _listed(one.undecided)
            text = f"In {where}, {one.best} has the best mean, {mean}, but is not shown to differ from {others}."
            said.append(Finding("nothing", text, one.first.quantity))
    return said


def cautions(found: Sequence[Contest], gates: Sequence[GateResult], titles: int, few: int) -> list[Finding]:
    """What must be known before a number of the report is believed."""
    said: list[Finding] = []
    if found and not any(one.first.better != "none" for one in found):
        text = "No quantity here has a direction: all are diagnostics, which tell what changes, not what is better."
        said.append(Finding("caution", text))
    lost = [one for one in found if one.disqualified]
    directed = [one for one in found if one.first.better != "none"]
    if lost:
        told = [f"{one.first.quantity} ({', '.join(one.first.beaten_by)})" for one in lost]
        many = f"{len(lost)} of {len(directed)} quantities prefer a control that draws nothing"
        text = f"{many}, and so rank nothing here: {_listed(told, 8)}."
        said.append(Finding("caution", text))
    if failed := sorted({gate.config for gate in gates if gate.verdict == "failed"}):
        said.append(Finding("caution", f"Gates were failed by {_listed(failed)}: see the gates before any rank."))
    counts = [figure.n for one in found for figure in one.figures if not figure.control and figure.n]
    if counts and 2 ** (1 - min(counts)) > ALPHA:
        least = 2.0 ** (1 - min(counts))
        text = f"With N = {min(counts)} no test over signs can give p below {number(least, 2)}."
        said.append(Finding("caution", "One pair is an example: it has no interval." if min(counts) == 1 else text))
    if 0 < titles < few:
        many = "1 title" if titles == 1 else f"{titles} titles"
        whom = "it" if titles == 1 else "these"
        text = f"The material comes from {many}: what is said holds for pairs of {whom}, not for others."
        said.append(Finding("caution", text))
    if missing := sum(figure.missing for one in found for figure in one.figures):
        said.append(Finding("caution", f"{missing} values are missing; each is listed with its reason."))
    return said


def _moved(factor: str, level: str, result: FactorialResult) -> str:
    base = next(one.levels[0] for one in result.design.factors if one.name == factor)
    return f"{factor} ({base} → {level})"


def _judged(mean: float, result: FactorialResult) -> str:
    if result.better == "none" or not mean:
        return ""
    return ": better" if (mean > 0) == (result.better == "higher") else ": worse"


def _simple(effect: SimpleEffect) -> str:
    interval = effect.test.percentile
    return f"{estimate(effect.test.mean, interval)} ({span(interval)}, Holm p {chance(effect.p_holm)})"


def _sure(reversal: Reversal) -> bool:
    return reversal.evidence == "both" and is_shown(reversal.first) and is_shown(reversal.second)


def _listed(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
