"""An ablation's findings in words: a Markdown document for a paper, and lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from animegen_eval.ablation.analysis import Analysis, FrameRate
from animegen_eval.ablation.design import AblationDesign
from animegen_eval.statistics.factorial import Effect, FactorialResult
from animegen_eval.statistics.records import Interval
from animegen_eval.statistics.relative import RelativeChange
from animegen_eval.statistics.simple_effects import Reversal
from animegen_eval.tables import number

_ALPHA = 0.05
_TIMES = 10.0
"""Relative changes from here on are told as a factor."""


def markdown(design: AblationDesign, analysis: Analysis, *, notes: Sequence[str] = ()) -> str:
    """The document ``table.md``.

    Args:
        design: Factors and cells.
        analysis: What was found.
        notes: What a reader must know: pairs left out, metrics without weights.
    """
    lines = [
        "# Ablation",
        "",
        f"{analysis.pairs} pairs from {analysis.titles} {'title' if analysis.titles == 1 else 'titles'}; "
        f"{len(design.cells)} configurations: "
        + " × ".join(f"{factor.name} ({', '.join(level.name for level in factor.levels)})" for factor in design.factors)
        + ". All clips are scored at the same times against the same panels. p: t test over pairs, Holm over all "
        "effects of all quantities. Intervals: 95 %, bootstrap over pairs.",
        "",
    ]
    lines += [f"- {note}" for note in notes] + [""] * bool(notes)
    lines += _cells(design, analysis)
    for result in analysis.effects:
        lines += _effects(result)
    lines += _reversals(analysis) + _rates(analysis.frame_rates)
    if analysis.skipped:
        lines += ["## Not analysed", "", *(f"- {name}: {why}" for name, why in analysis.skipped.items()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _cells(design: AblationDesign, analysis: Analysis) -> list[str]:
    """Means of every cell, quantities as columns, and the change of the last cell against the first."""
    if not analysis.effects:
        return []
    names = [factor.name for factor in design.factors]
    heads = [*names, *(f"{result.metric}{_arrow(result)}" for result in analysis.effects)]
    lines = ["## Means", "", _row(["", *heads]), _row(["---"] * (len(heads) + 1))]
    for place, cell in enumerate(design.cells):
        values = [number(result.cells[place].mean) for result in analysis.effects]
        lines.append(_row([cell.code, *cell.levels, *values]))
    lines += ["", f"## {design.cells[-1].code} against {design.cells[0].code}", ""]
    lines += [_row(["", "ratio of means − 1", "mean of ratios − 1", "better / worse pairs"]), _row(["---"] * 4)]
    for result in analysis.effects:
        change = result.cells[-1].change
        assert change is not None
        lines.append(_row([result.metric, *_change(change), _counts(change)]))
    return [*lines, ""]


def _effects(result: FactorialResult) -> list[str]:
    unit = f"; {result.better} is better" if result.better != "none" else "; a diagnostic: neither direction is better"
    lines = [f"## {result.metric}", "", f"{result.n} pairs{unit}.", ""]
    if still := [e.name for e in result.effects if len(e.levels) == 1 and e.test.mean == 0 == (e.test.sd or 0)]:
        told = f"No clip is changed by {' or '.join(still)} at these times: the frames that are compared are the same."
        lines += [told, ""]
    several = any(effect.titles is not None for effect in result.effects)
    heads = ["effect", "mean", "interval", "p", "p (Holm)", *(["titles: one left out", "by title"] if several else [])]
    lines += [_row(heads), _row(["---"] * len(heads))]
    for effect in result.effects:
        cells = [effect.name, _signed(effect.test.mean), _interval(effect.test.percentile), _p(effect.test.p_t)]
        cells.append(_p(effect.p_holm) + (" *" if effect.p_holm is not None and effect.p_holm < _ALPHA else ""))
        if several:
            cells += _titles(effect)
        lines.append(_row(cells))
    if result.dropped:
        lines += ["", *(f"- left out: {drop.unit} ({drop.reason})" for drop in result.dropped)]
    return [*lines, ""]


def _titles(effect: Effect) -> list[str]:
    if effect.titles is None:
        return ["", ""]
    low, high = effect.titles.leave_one_out
    each = ", ".join(f"{one.title or '?'} {_signed(one.effect)} ({one.n})" for one in effect.titles.effects)
    return [f"{_signed(low)} .. {_signed(high)}", each]


def _reversals(analysis: Analysis) -> list[str]:
    """Simple effects that change their sign, the surest first; what is not significant is counted, not listed."""
    lines = ["## Effects that turn round", ""]
    words = {"both": "both significant", "one": "one significant"}
    told = 0
    for result in analysis.effects:
        for turn in result.reversals:
            if turn.evidence in words:
                lines.append(f"- {_turn(result.metric, turn)} ({words[turn.evidence]})")
            told += 1
    sure = len(lines) - 2
    lines.append("" if sure else "None that is significant.")
    if told > sure:
        lines.append(f"{told - sure} more change sign without either end being significant: not a finding.")
    return [*lines, ""]


def _turn(metric: str, turn: Reversal) -> str:
    at = "".join(f", {name} = {level}" for name, level in turn.at)
    first = dict(turn.first.at)[turn.by]
    second = dict(turn.second.at)[turn.by]
    return (
        f"{metric}: {turn.factor} → {turn.level}{at}: {_signed(turn.first.test.mean)} with {turn.by} = {first}, "
        f"{_signed(turn.second.test.mean)} with {turn.by} = {second}"
    )


def _rates(rates: Sequence[FrameRate]) -> list[str]:
    if not rates:
        return []
    lines = [
        "## What a higher frame rate does by itself",
        "",
        "Change of numbers taken from step to step, ratio of means. At its own frame rate a clip with more frames has "
        "smaller steps, whatever they show: the last column is the baseline with every frame shown several times.",
        "",
        _row(["", "against", "equal times", "own frame rate", "baseline repeated"]),
        _row(["---"] * 5),
    ]
    for rate in rates:
        repeated = f"{_percent(rate.repeated.ratio_of_means)} (×{rate.factor})"
        values = [_change(rate.equal)[0], _change(rate.native)[0], repeated]
        lines.append(_row([rate.quantity, f"{rate.cell} : baseline", *values]))
    return [*lines, ""]


def summary_lines(design: AblationDesign, analysis: Analysis) -> Iterator[tuple[str, ...]]:
    """Rows for a terminal: quantity, effect, mean, interval, p after Holm; main effects, and what is significant."""
    for result in analysis.effects:
        for effect in result.effects:
            sure = effect.p_holm is not None and effect.p_holm < _ALPHA
            if len(effect.levels) == 1 or sure:
                mark = "*" if sure else ""
                interval = _interval(effect.test.percentile)
                yield result.metric, effect.name, _signed(effect.test.mean), interval, f"{_p(effect.p_holm)}{mark}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _arrow(result: FactorialResult) -> str:
    return {"lower": " ↓", "higher": " ↑", "none": ""}[result.better]


def _change(change: RelativeChange) -> list[str]:
    found = []
    for value, interval in (
        (change.ratio_of_means, change.ratio_of_means_interval),
        (change.mean_of_ratios, change.mean_of_ratios_interval),
    ):
        within = f" ({_percent(interval.low)} .. {_percent(interval.high)})" if interval and value is not None else ""
        found.append(f"{_percent(value)}{within}")
    return found


def _counts(change: RelativeChange) -> str:
    return "-" if change.improved is None else f"{change.improved} / {change.worse} of {change.n}"


def _percent(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= _TIMES:  # near a baseline of 0 a percentage is a row of digits
        return f"×{1 + value:.2g}"
    shown = f"{100 * value:+.1f} %"
    return "0" if shown in ("-0.0 %", "+0.0 %") else shown


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{_signed(interval.low)} .. {_signed(interval.high)}"


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
