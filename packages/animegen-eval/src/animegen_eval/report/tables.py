"""Tables of a report: as rows for the page, as Markdown for a paper, as CSV for other programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from animegen_eval.controls import REPEAT
from animegen_eval.report.analysis import Contest, Effects, unit_name
from animegen_eval.report.material import Material
from animegen_eval.report.numbers import chance, number, percent, signed, span
from animegen_eval.summary import Figure, GateResult


@dataclass(frozen=True)
class CellText:
    """A cell: what is read, what it sorts by (None last), what stands below it, how it looks."""

    text: str
    sort: float | str | None = None
    below: str = ""
    look: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its name, what is below the name, whether it holds numbers, what is told about it."""

    name: str
    below: str = ""
    numeric: bool = True
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[CellText, ...], ...]
    looks: tuple[str, ...] = field(default=())


ARROWS = {"lower": "↓", "higher": "↑", "none": ""}


def main_tables(contests: Sequence[Contest], material: Material) -> list[Table]:
    """Systems and controls by quantity, one table for each gap."""
    found = []
    for gap in dict.fromkeys(contest.line[0] for contest in contests):
        here = [contest for contest in contests if contest.line[0] == gap]
        lines = list(dict.fromkeys((one.config, one.control) for contest in here for one in contest.figures))
        rows, looks = [], []
        for config, control in sorted(lines, key=lambda line: line[1]):
            rows.append((*_names(config, control, material), *(_mean(contest, config) for contest in here)))
            looks.append("control" if control else "")
        caption = "Means over clips, 95 % bootstrap intervals below" + (f"; gap {gap}" if gap else "")
        name = "systems" if gap is None else f"systems-gap-{gap}"
        columns = (*_name_columns(material), *map(_column, here))
        found.append(Table(name, caption, columns, tuple(rows), tuple(looks)))
    return found


def title_tables(contests: Sequence[Contest], material: Material) -> list[Table]:
    """Means of each system within each title, for quantities that may rank (or all, where none may)."""
    if not material.titles:
        return []
    chosen = [one for one in contests if one.ranks] or list(contests)
    found = []
    for gap in dict.fromkeys(contest.line[0] for contest in chosen):
        here = [contest for contest in chosen if contest.line[0] == gap]
        by_place = {(o.title, o.config, (o.gap, o.quantity, o.variant)): o for o in material.titles if not o.control}
        rows = []
        for title in dict.fromkeys(figure.title for figure in material.titles):
            for config in material.systems:
                figures = [by_place.get((title, config, contest.line)) for contest in here]
                if any(figures):
                    count = max(one.n for one in figures if one)
                    cells = (_figure_cell(one) for one in figures)
                    rows.append((_word(title), *_names(config, False, material), _plain(count), *cells))
        columns = (Column("title", numeric=False), *_name_columns(material), Column("N"), *map(_column, here))
        name = "titles" if gap is None else f"titles-gap-{gap}"
        caption = "Means within each title" + (f"; gap {gap}" if gap else "")
        found.append(Table(name, caption, columns, tuple(rows)))
    return found


def title_effects(effects: Effects) -> Table | None:
    """Effects within each title, over all, and with one title left out."""
    result = effects.result
    if result is None or result.effects[0].titles is None:
        return None
    rows = []
    for place, one in enumerate(result.effects[0].titles.effects):
        cells = [effect.titles.effects[place].effect for effect in result.effects if effect.titles]
        rows.append((_word(one.title), _plain(one.n), *(CellText(signed(cell), cell) for cell in cells)))
    overall = (CellText(signed(effect.test.mean), effect.test.mean) for effect in result.effects)
    left = [effect.titles.leave_one_out for effect in result.effects if effect.titles]
    rows.append((_word("all pairs"), _plain(result.n), *overall))
    rows.append(
        (_word("one title left out"), CellText("–"), *(CellText(f"{signed(a)} to {signed(b)}", a) for a, b in left))
    )
    columns = (Column("title", numeric=False), Column("N"), *(Column(effect.name) for effect in result.effects))
    looks = (*[""] * (len(rows) - 2), "total", "total")
    return Table(
        f"titles-{result.metric}", f"Effects on {result.metric} within each title", columns, tuple(rows), looks
    )


def effect_table(effects: Effects) -> Table | None:
    """Every effect with its interval and tests."""
    result = effects.result
    if result is None:
        return None
    rows = tuple(
        (
            _word(effect.name),
            CellText(signed(effect.test.mean), effect.test.mean),
            CellText(span(effect.test.percentile), effect.test.percentile.low if effect.test.percentile else None),
            CellText(span(effect.test.bca), effect.test.bca.low if effect.test.bca else None),
            CellText(chance(effect.p_holm).removeprefix("= "), effect.p_holm),
            CellText(chance(effect.test.p_sign_flip).removeprefix("= "), effect.test.p_sign_flip),
            CellText(number(effect.test.dz, 3), effect.test.dz),
        )
        for effect in result.effects
    )
    names = ("effect", "mean", "95 % interval", "BCa interval", "p (Holm, t)", "p (sign flips)", "dz")
    columns = tuple(Column(name, numeric=place > 0) for place, name in enumerate(names))
    return Table(f"effects-{result.metric}", f"Effects on {result.metric}, N = {result.n} pairs", columns, rows)


def worst_table(
    contests: Sequence[Contest], material: Material, posters: Mapping[tuple[str, str], str], most: int = 60
) -> Table:
    """Clips of systems, the worst first: by their mean rank over the quantities that may rank."""
    chosen = [one for one in contests if one.ranks] or [one for one in contests if one.first.better != "none"]
    lines = {contest.line: contest for contest in chosen}
    places: dict[tuple[str, str, int | None], dict[object, float | None]] = {}
    names: dict[str, tuple[str, str]] = {}
    for row in material.rows:
        line = (row.gap, row.quantity, row.variant)
        if not row.control and line in lines:
            unit = unit_name(row.title, row.clip)
            names[unit] = (row.title, row.clip)
            places.setdefault((row.config, unit, row.gap), {})[line] = row.value
    badness: dict[tuple[str, str, int | None], list[float]] = {place: [] for place in places}
    for line, contest in lines.items():
        sign = -1.0 if contest.first.better == "higher" else 1.0
        held = {place: value for place, got in places.items() if (value := got.get(line)) is not None}
        for place, share in _ranks({place: sign * value for place, value in held.items()}).items():
            badness[place].append(share)
    ordered = sorted(
        (place for place in places if badness[place]), key=lambda place: -sum(badness[place]) / len(badness[place])
    )
    rows = []
    shown = list(dict.fromkeys((contest.first.quantity, contest.line[2]) for contest in chosen))
    for config, unit, gap in ordered[:most]:
        mean = sum(badness[config, unit, gap]) / len(badness[config, unit, gap])
        title, clip = names[unit]
        cells = [places[config, unit, gap].get((gap, *name)) for name in shown]
        poster = posters.get((unit, config), "")
        rows.append(
            (
                CellText(clip, clip, below=title, picture=poster),
                *_names(config, False, material)[:1],
                *([_plain(gap)] if any(line[0] for line in lines) else []),
                CellText(f"{100 * mean:.0f} %", mean),
                *(CellText(number(value), value) for value in cells),
            )
        )
    gaps = [Column("gap")] if any(line[0] for line in lines) else []
    columns = (
        Column("clip", numeric=False),
        Column("system", numeric=False),
        *gaps,
        Column("badness", note="mean share of clips and systems that are better, over the quantities shown"),
        *(_column(next(c for c in chosen if (c.first.quantity, c.line[2]) == name)) for name in shown),
    )
    caption = f"{len(rows)} of {len(ordered)} clips, the worst first"
    return Table("worst", caption, columns, tuple(rows))


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
                _word(quantity),
                *_names(config, False, material)[:1],
                CellText(number(at.mean if at else None), at.mean if at else None),
                CellText(number(figure.mean), figure.mean),
                CellText(number(repeat.mean), repeat.mean),
                *((_change(figure, first), _change(repeat, first)) if base else ()),
                _plain(figure.n),
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


def gate_table(gates: Sequence[GateResult], material: Material) -> Table | None:
    """Gates of every system."""
    rows = tuple(
        (
            *_names(gate.config, False, material)[:1],
            CellText(number(gate.gap), gate.gap),
            _word(gate.rule.quantity),
            CellText(number(gate.value), gate.value),
            _word(_bounds(gate)),
            CellText(gate.verdict, gate.verdict, below=gate.reason, look=f"gate-{gate.verdict}"),
        )
        for gate in gates
    )
    names = ("system", "gap", "quantity", "value", "must be", "verdict")
    columns = tuple(Column(name, numeric=name in ("gap", "value")) for name in names)
    return (
        Table("gates", "Gates: what a system must pass before its ranks mean anything", columns, rows) if rows else None
    )


def disqualified_table(contests: Sequence[Contest]) -> Table | None:
    """Quantities that a control has won, with what the control has and what the best system has."""
    rows = []
    for contest in contests:
        if not contest.disqualified:
            continue
        sign = -1.0 if contest.first.better == "higher" else 1.0
        means = {one.config: one.mean for one in contest.figures if one.mean is not None}
        systems = [one for one in contest.figures if not one.control and one.mean is not None]
        best = min(systems, key=lambda one: sign * (one.mean or 0.0), default=None)
        rows.append(
            (
                _word(contest.first.quantity),
                CellText(number(contest.first.gap), contest.first.gap),
                _word(contest.first.better),
                _word(", ".join(f"{name} {number(means.get(name))}" for name in contest.first.beaten_by)),
                CellText(number(means.get("real")), means.get("real")),
                _word(f"{best.config} {number(best.mean)}" if best else "–"),
            )
        )
    names = ("quantity", "gap", "better", "won by", "real clips", "best system")
    columns = tuple(Column(name, numeric=name in ("gap", "real clips")) for name in names)
    caption = "Disqualified here: a control that draws nothing wins, so nothing is ranked by these"
    return Table("disqualified", caption, columns, tuple(rows)) if rows else None


def missing_table(material: Material) -> Table | None:
    """Every value that is missing, with its reason; equal reasons of one system and quantity together."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for row in material.rows:
        if row.missing:
            kind = "failed" if row.failed else "missing" if row.value is None else "in part"
            found.setdefault((row.config, row.quantity, kind, row.missing), []).append(unit_name(row.title, row.clip))
    rows = tuple(
        (
            _word(config),
            _word(quantity),
            _word(kind),
            _plain(len(set(clips))),
            CellText(reason, reason, ", ".join(dict.fromkeys(clips))),
        )
        for (config, quantity, kind, reason), clips in found.items()
    )
    names = ("system", "quantity", "what", "clips", "reason")
    columns = tuple(Column(name, numeric=name == "clips") for name in names)
    return Table("missing", "Values that are missing, and why", columns, rows) if rows else None


def as_markdown(table: Table) -> str:
    """A table for a paper: GitHub's form, best and not shown to differ from it in bold."""
    head = [_escaped(f"{column.name} {column.below}".strip()) for column in table.columns]
    lines = [head, ["---:" if column.numeric else ":---" for column in table.columns]]
    for row in table.rows:
        cells = []
        for cell in row:
            text = _escaped(cell.text)
            text = f"**{text}**" if "best" in cell.look.split() else text
            cells.append(f"{text} ({_escaped(cell.below)})" if cell.below else text)
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; nothing where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return buffer.getvalue()


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return escaped.replace("*", "\\*").replace("_", "\\_").replace("`", "\\`")


def _names(config: str, control: bool, material: Material) -> tuple[CellText, ...]:
    first = CellText(config, config, below="control" if control else "")
    if material.ablation is None:
        return (first,)
    levels = material.ablation.cells.get(config, ("–",) * len(material.ablation.design.factors))
    return (first, *map(_word, levels))


def _name_columns(material: Material) -> tuple[Column, ...]:
    first = Column("system" if material.ablation is None else "configuration", numeric=False)
    factors = material.ablation.design.factors if material.ablation else ()
    return (first, *(Column(factor.name, numeric=False) for factor in factors))


def _column(contest: Contest) -> Column:
    first = contest.first
    unit = f"{first.unit} " if first.unit else ""
    if contest.disqualified:
        return Column(first.quantity, f"{unit}✗ won by {', '.join(first.beaten_by)}", note="disqualified for ranking")
    return Column(first.quantity, f"{unit}{ARROWS[first.better] or 'diagnostic'}")


def _mean(contest: Contest, config: str) -> CellText:
    figure = next((one for one in contest.figures if one.config == config), None)
    best = figure is not None and not figure.control and (config == contest.best or config in contest.undecided)
    look = "best" if best and contest.ranks else "out" if contest.disqualified else ""
    return _figure_cell(figure, look)


def _figure_cell(figure: Figure | None, look: str = "") -> CellText:
    if figure is None:
        return CellText(number(None))
    below = [span(figure.interval)] if figure.interval else []
    if figure.infinite and figure.finite_mean is not None:
        below.append(f"{figure.infinite} of {figure.n} are ∞; the rest {number(figure.finite_mean)}")
    if figure.missing:
        below.append(f"{figure.missing} missing")
    return CellText(number(figure.mean), figure.mean, "; ".join(below), look)


def _change(figure: Figure, base: Figure | None) -> CellText:
    if base is None or not base.mean or figure.mean is None or not math.isfinite(base.mean):
        return CellText(number(None))
    share = figure.mean / base.mean - 1
    return CellText(percent(share), share)


def _bounds(gate: GateResult) -> str:
    if gate.low is not None and gate.high is not None:
        return f"{number(gate.low)} to {number(gate.high)}"
    if gate.low is None and gate.high is None:
        return "–"
    return f"at least {number(gate.low)}" if gate.high is None else f"at most {number(gate.high)}"


def _ranks(values: Mapping[tuple[str, str, int | None], float]) -> dict[tuple[str, str, int | None], float]:
    """For each, the share of the others that are smaller; ties count half."""
    others = max(1, len(values) - 1)
    numbers = list(values.values())
    return {
        key: (sum(other < value for other in numbers) + (sum(other == value for other in numbers) - 1) / 2) / others
        for key, value in values.items()
    }


def _word(text: str) -> CellText:
    return CellText(text or "–", text)


def _plain(count: int | None) -> CellText:
    return CellText(number(None) if count is None else str(count), count)
