"""Tables of what must be known before a number is believed: controls, gates, frame rates, missing values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from animegen_eval.ablation.analysis import FrameRate
from animegen_eval.controls import REPEAT
from animegen_eval.report.analysis import Contest, unit_name
from animegen_eval.report.cells import ARROWS, CellText, Column, Table, names, plain_number, word
from animegen_eval.report.material import Material
from animegen_eval.report.numbers import number, percent
from animegen_eval.statistics.relative import RelativeChange
from animegen_eval.summary import Figure, GateResult


def native_table(material: Material) -> Table | None:
    """Per-step numbers at each clip's own frame rate, each beside the same frames shown several times."""
    lines: dict[tuple[int | None, str, str, str], Figure] = {}
    for figure in material.figures:
        if figure.variant in ("native", "native-clip") and not (figure.stratum or figure.title or figure.clip):
            lines[figure.gap, figure.quantity, figure.variant, figure.config] = figure
    equal = {(one.gap, one.quantity, one.config): one for one in material.headline}
    rows = []
    base = material.systems[0] if material.systems and material.ablation else None
    for (gap, quantity, variant, config), figure in lines.items():
        repeat = lines.get((gap, quantity, variant, f"{REPEAT} {config}")) or (
            lines.get((gap, quantity, variant, REPEAT)) if config == "real" else None
        )
        if repeat is None or figure.mean is None:
            continue
        at = equal.get((gap, quantity, config))
        first = lines.get((gap, quantity, variant, base)) if base else None
        rows.append(
            (
                word(quantity),
                *names(config, False, material)[:1],
                CellText(number(at.mean if at else None), at.mean if at else None),
                CellText(number(figure.mean), figure.mean),
                CellText(number(repeat.mean), repeat.mean),
                *((_change(figure, first), _change(repeat, first)) if base else ()),
                plain_number(figure.n),
            )
        )
    if not rows:
        return None
    against = (Column(f"native, against {base}"), Column(f"repeat, against {base}")) if base else ()
    columns = (
        Column("quantity", numeric=False),
        Column("system", numeric=False),
        Column("at equal times"),
        Column("native rate", note="not to be compared between systems of other frame rates"),
        Column("frames repeated", note="the same frames, each shown several times: what a higher rate alone does"),
        *against,
        Column("N"),
    )
    return Table("native", "Per-step numbers at the native rate, beside the frame-repeat control", columns, tuple(rows))


def rate_table(rates: Sequence[FrameRate]) -> Table | None:
    """Changes of per-step numbers against the baseline: at equal times, at the native rate, and by repeating frames."""
    rows = tuple(
        (
            word(f"{one.quantity} {ARROWS[one.better]}".strip()),
            word(one.cell),
            CellText(f"×{one.factor}", one.factor),
            *(_relative(change) for change in (one.equal, one.native, one.repeated)),
            plain_number(one.equal.n),
        )
        for one in rates
    )
    columns = (
        Column("quantity", numeric=False),
        Column("configuration", numeric=False),
        Column("frames"),
        Column("at equal times", "against the baseline"),
        Column("at the native rate", "against the baseline", note="what is often published"),
        Column("baseline, frames repeated", "against the baseline", note="a higher rate alone, without a new picture"),
        Column("N"),
    )
    caption = "Change of the mean of per-step numbers, with 95 % intervals over pairs"
    return Table("native", caption, columns, rows) if rows else None


def gate_table(gates: Sequence[GateResult], material: Material) -> Table | None:
    """Systems by gate, with the bounds in the heading where they are the same for all."""
    kinds = list(dict.fromkeys((gate.gap, gate.rule.quantity, _bounds(gate)) for gate in gates))
    found = {(gate.config, (gate.gap, gate.rule.quantity, _bounds(gate))): gate for gate in gates}
    shared = {kind: {gate.reason for (_, other), gate in found.items() if other == kind} for kind in kinds}
    shared = {kind: reasons if len(reasons) == 1 else set() for kind, reasons in shared.items()}
    rows = []
    for config in material.systems:
        cells = []
        for kind in kinds:
            gate = found.get((config, kind))
            text = "–" if gate is None else f"{number(gate.value)} {gate.verdict}"
            below, look = ("", "") if gate is None else (gate.reason, f"gate-{gate.verdict}")
            below = "" if below in shared[kind] else below
            cells.append(CellText(text, None if gate is None else gate.value, below, look))
        rows.append((*names(config, False, material)[:1], *cells))
    columns = [
        Column(name + (f", gap {gap}" if gap else ""), _reasoned(bounds, shared[gap, name, bounds]))
        for gap, name, bounds in kinds
    ]
    caption = "Gates: what a system must pass before its ranks mean anything"
    return Table("gates", caption, (Column("system", numeric=False), *columns), tuple(rows)) if kinds else None


def _reasoned(bounds: str, reasons: set[str]) -> str:
    """Bounds of a gate, and why none of the systems could be held against them."""
    return "; ".join(text for text in (bounds, *reasons) if text)


def disqualified_table(contests: Sequence[Contest]) -> Table | None:
    """Quantities that a control has won, with what the control has and what the best system has."""
    rows = []
    gaps = any(contest.first.gap for contest in contests)
    for contest in contests:
        if not contest.disqualified:
            continue
        sign = -1.0 if contest.first.better == "higher" else 1.0
        means = {one.config: one.mean for one in contest.figures if one.mean is not None}
        systems = [one for one in contest.figures if not one.control and one.mean is not None]
        best = min(systems, key=lambda one: sign * (one.mean or 0.0), default=None)
        rows.append(
            (
                word(contest.first.quantity),
                *([plain_number(contest.first.gap)] if gaps else []),
                word(contest.first.better),
                word(", ".join(f"{name} {number(means.get(name))}" for name in contest.first.beaten_by)),
                CellText(number(means.get("real")), means.get("real")),
                word(f"{best.config} {number(best.mean)}" if best else "–"),
            )
        )
    heads = ("quantity", *(["gap"] if gaps else []), "better", "won by", "real clips", "best system")
    columns = tuple(Column(name, numeric=name in ("gap", "real clips")) for name in heads)
    caption = "Disqualified here: a control that draws nothing wins, so nothing is ranked by these"
    return Table("disqualified", caption, columns, tuple(rows)) if rows else None


def missing_table(material: Material) -> Table | None:
    """Every value that is missing, with its reason; what is missing alike in several systems is told once."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for row in material.rows:
        if row.missing:
            kind = "failed" if row.failed else "missing" if row.value is None else "in part"
            found.setdefault((row.config, row.quantity, kind, row.missing), []).append(unit_name(row.title, row.clip))
    alike: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (config, quantity, kind, reason), clips in found.items():
        alike.setdefault((quantity, kind, reason, tuple(dict.fromkeys(clips))), []).append(config)
    having: dict[str, set[str]] = {}
    for row in material.rows:
        having.setdefault(row.quantity, set()).add(row.config)
    rows = tuple(
        (
            word(quantity),
            word(kind),
            plain_number(len(names_)),
            CellText(reason, reason, ", ".join(names_)),
            word("all" if set(configs) == having[quantity] else ", ".join(configs)),
        )
        for (quantity, kind, reason, names_), configs in alike.items()
    )
    heads = ("quantity", "what", "clips", "reason", "systems")
    columns = tuple(Column(name, numeric=name == "clips") for name in heads)
    return Table("missing", "Values that are missing, and why", columns, rows) if rows else None


def _relative(change: RelativeChange) -> CellText:
    interval = change.ratio_of_means_interval
    below = "" if interval is None else f"{percent(interval.low)} to {percent(interval.high)}"
    return CellText(percent(change.ratio_of_means), change.ratio_of_means, below)


def _change(figure: Figure, base: Figure | None) -> CellText:
    if base is None or not base.mean or figure.mean is None or not math.isfinite(base.mean):
        return CellText(number(None))
    share = figure.mean / base.mean - 1
    return CellText(percent(share), share)


def _bounds(gate: GateResult) -> str:
    if gate.low is not None and gate.high is not None:
        return f"{number(gate.low)} to {number(gate.high)}"
    if gate.low is None and gate.high is None:
        return gate.rule.rule
    return f"at least {number(gate.low)}" if gate.high is None else f"at most {number(gate.high)}"
