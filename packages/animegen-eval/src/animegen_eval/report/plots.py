"""The figures of a report as the field draws them: effects with intervals, interaction plots, means of systems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from animegen_eval.report.analysis import Contest, Effects
from animegen_eval.report.findings import is_shown, turn, turns
from animegen_eval.report.inline import INK, PAPER, SERIES, Drawn, drawn, style
from animegen_eval.report.numbers import number, signed, span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen_eval.summary import Figure

MARKERS = "osD^vP*X"
_WIDTH = 7.2  # inch
_LONG = 34


def effects_plot(effects: Effects, name: str) -> Drawn | None:
    """All effects with their intervals and a line at 0; filled where the effect is shown, hollow where it is not."""
    from matplotlib.figure import Figure as Canvas

    result = effects.result
    if result is None:
        return None
    with style():
        canvas = Canvas(figsize=(_WIDTH, 0.7 + 0.3 * len(result.effects)), layout="constrained")
        axes = canvas.subplots()
        for place, effect in enumerate(result.effects):
            interval, colour = effect.test.percentile, SERIES[min(len(effect.levels), 3) - 1]
            if interval is not None:
                axes.plot((interval.low, interval.high), (place, place), color=colour, solid_capstyle="butt")
            face = colour if is_shown(effect) else PAPER
            axes.plot(effect.test.mean, place, "o", color=colour, markerfacecolor=face, markersize=6)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(
            range(len(result.effects)), [cut(effect.name.replace(":", " × "), 48) for effect in result.effects]
        )
        axes.set_ylim(len(result.effects) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"effect on {labelled(effects.contest)}")
        told = "; ".join(f"{one.name} {signed(one.test.mean)} ({span(one.test.percentile)})" for one in result.effects)
        return drawn(canvas, name, f"Effects on {result.metric} with 95 % intervals", f"{told}. N = {result.n} pairs.")


def interaction_plot(effects: Effects, name: str) -> Drawn | None:
    """Means of two factors at a time, averaged over the others: lines that are not parallel are an interaction.

    Bars are 95 % within-pair intervals: differences between pairs are taken out first (Cousineau 2005, with the
    correction of Morey 2008), so that bars speak of what pairs have in common.
    """
    from matplotlib.figure import Figure as Canvas

    result, units = effects.result, effects.units
    if result is None or units is None or len(result.design.factors) < 2:
        return None
    factors = result.design.factors
    chosen = list(combinations(range(len(factors)), 2))[:6]
    with style():
        columns = min(3, len(chosen))
        rows = -(-len(chosen) // columns)
        canvas = Canvas(figsize=(_WIDTH, 2.7 * rows), layout="constrained")
        grid = canvas.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(chosen) :]:
            axes.set_visible(False)
        told = []
        for axes, (across, lines) in zip(grid.flat, chosen, strict=False):
            kept = units.reshape(-1, *result.design.shape)
            rest = tuple(1 + place for place in range(len(factors)) if place not in (across, lines))
            table = kept.mean(axis=rest)
            means, bars = within_pairs(table)
            _lines(axes, means, bars, factors[across].levels, factors[lines].levels)
            axes.set_xlabel(cut(factors[across].name))
            axes.legend(
                title=cut(factors[lines].name), fontsize=8, title_fontsize=8, ncols=min(3, len(factors[lines].levels)),
                loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2, handlelength=1.6, columnspacing=1.0,
            )  # fmt: skip
            told.append(
                f"{factors[across].name} by {factors[lines].name}: {_said(means, factors[across], factors[lines])}"
            )
        for row in grid:
            row[0].set_ylabel(labelled(effects.contest))
        return drawn(canvas, name, f"Interactions in {result.metric}", f"{'. '.join(told)}.")


def turn_plot(effects: Effects, name: str) -> Drawn | None:
    """Simple effects that change their sign: each at both levels of the other factor, with its interval, about 0."""
    from matplotlib.figure import Figure as Canvas

    result = effects.result
    if result is None or not result.reversals:
        return None
    shown = turns(result)[:6]
    with style():
        canvas = Canvas(figsize=(_WIDTH, 0.7 + 0.62 * len(shown)), layout="constrained")
        axes = canvas.subplots()
        labels, places = [], []
        for number_, reversal in enumerate(shown):
            for half, effect in enumerate((reversal.first, reversal.second)):
                place = 2.3 * number_ + half
                interval, colour = effect.test.percentile, SERIES[half]
                if interval is not None:
                    axes.plot((interval.low, interval.high), (place, place), color=colour)
                face = colour if is_shown(effect) else PAPER
                axes.plot(effect.test.mean, place, "os"[half], color=colour, markerfacecolor=face)
                labels.append(cut(f"{effect.factor} | {', '.join(f'{n}={level}' for n, level in effect.at)}", 52))
                places.append(place)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(places, labels)
        axes.set_ylim(max(places) + 0.7, -0.7)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"simple effect on {labelled(effects.contest)}")
        return drawn(
            canvas, name, f"Effects on {result.metric} that change their sign", " ".join(turn(r, result) for r in shown)
        )


def means_plot(contest: Contest, name: str) -> Drawn | None:
    """Means of systems with intervals, and those of controls, hollow and below a line."""
    from matplotlib.figure import Figure as Canvas

    able = [one for one in contest.figures if math.isfinite(_place(one))]
    if not able:
        return None
    systems, controls = [o for o in able if not o.control], [o for o in able if o.control]
    with style():
        canvas = Canvas(figsize=(_WIDTH, 0.7 + 0.27 * len(able)), layout="constrained")
        axes = canvas.subplots()
        for place, one in enumerate([*systems, *controls]):
            colour = SERIES[7] if one.control else SERIES[0]
            if one.interval is not None:
                axes.plot((one.interval.low, one.interval.high), (place, place), color=colour)
            axes.plot(
                _place(one),
                place,
                "s" if one.control else "o",
                color=colour,
                markerfacecolor=PAPER if one.control else colour,
            )
        if systems and controls:
            axes.axhline(len(systems) - 0.5, color=INK, linewidth=0.6, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(able)), [cut(_named(one)) for one in (*systems, *controls)])
        axes.set_ylim(len(able) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(labelled(contest))
        told = "; ".join(f"{_named(one)} {number(one.mean)} ({span(one.interval)}, N = {one.n})" for one in able)
        return drawn(canvas, name, f"{contest.first.quantity} of systems and controls", f"{told}.")


def labelled(contest: Contest) -> str:
    """Name of a quantity with unit and direction, for an axis."""
    first = contest.first
    unit = f" [{first.unit}]" if first.unit else ""
    arrow = {"lower": " (lower is better)", "higher": " (higher is better)", "none": " (diagnostic)"}[first.better]
    gap = f", gap {first.gap}" if first.gap else ""
    return f"{first.quantity}{unit}{gap}{arrow}"


def cut(text: str, most: int = _LONG) -> str:
    """A text that fits beside an axis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def within_pairs(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over pairs, and half widths of their 95 % within-pair intervals.

    Args:
        table: (N, A, B) of pairs and the levels of two factors.

    Returns:
        (A, B) means and (A, B) half widths, which are 0 for a single pair.
    """
    count, cells = len(table), table[0].size
    means = table.mean(axis=0)
    if count < 2:
        return means, np.zeros_like(means)
    centred = table - table.mean(axis=(1, 2), keepdims=True) + table.mean()
    spread = centred.std(axis=0, ddof=1) * math.sqrt(cells / (cells - 1))
    return means, spread / math.sqrt(count) * float(stats.t.ppf(0.975, count - 1))


def _lines(
    axes: Any, means: NDArray[np.float64], bars: NDArray[np.float64], across: Sequence[str], lines: Sequence[str]
) -> None:
    for index, level in enumerate(lines):
        place = np.arange(len(across)) + 0.06 * (index - (len(lines) - 1) / 2)
        style_ = ("-", "--", ":", "-.")[index % 4]
        colour, mark = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
        axes.plot(place, means[:, index], style_, marker=mark, color=colour, label=cut(level, 16))
        axes.vlines(
            place, means[:, index] - bars[:, index], means[:, index] + bars[:, index], color=colour, linewidth=1.2
        )
    axes.set_xticks(range(len(across)), [cut(level, 14) for level in across])
    axes.set_xlim(-0.4, len(across) - 0.6)


def _said(means: NDArray[np.float64], across: Any, lines: Any) -> str:
    return ", ".join(
        f"{a} with {b} {number(float(means[i, j]))}"
        for i, a in enumerate(across.levels)
        for j, b in enumerate(lines.levels)
    )


def _place(one: Figure) -> float:
    return math.nan if one.mean is None else one.mean


def _named(one: Figure) -> str:
    return f"{one.config} (control)" if one.control else one.config
