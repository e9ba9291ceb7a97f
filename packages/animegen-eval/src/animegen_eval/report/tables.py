"""Tables of systems, titles, effects and the worst clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from animegen_eval.report.analysis import Contest, Effects, unit_name
from animegen_eval.report.cells import CellText, Column, Table, column_of, name_columns, names, plain_number, word
from animegen_eval.report.material import Material
from animegen_eval.report.media import Played
from animegen_eval.report.numbers import chance, number, signed, span
from animegen_eval.summary import Figure


def main_tables(contests: Sequence[Contest], material: Material) -> list[Table]:
    """Systems and controls by quantity, one table for each gap."""
    found = []
    for gap in dict.fromkeys(contest.line[0] for contest in contests):
        here = [contest for contest in contests if contest.line[0] == gap]
        lines = list(dict.fromkeys((one.config, one.control) for contest in here for one in contest.figures))
        rows, looks = [], []
        for config, control in sorted(lines, key=lambda line: line[1]):
            rows.append((*names(config, control, material), *(_mean(contest, config) for contest in here)))
            looks.append("control" if control else "")
        caption = "Means over clips, 95 % bootstrap intervals below" + (f"; gap {gap}" if gap else "")
        name = "systems" if gap is None else f"systems-gap-{gap}"
        columns = (*name_columns(material), *map(column_of, here))
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
                    rows.append((word(title), *names(config, False, material), plain_number(count), *cells))
        columns = (Column("title", numeric=False), *name_columns(material), Column("N"), *map(column_of, here))
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
        rows.append((word(one.title), plain_number(one.n), *(CellText(signed(cell), cell) for cell in cells)))
    overall = (CellText(signed(effect.test.mean), effect.test.mean) for effect in result.effects)
    left = [effect.titles.leave_one_out for effect in result.effects if effect.titles]
    rows.append((word("all pairs"), plain_number(result.n), *overall))
    rows.append(
        (word("one title left out"), CellText("–"), *(CellText(f"{signed(a)} to {signed(b)}", a) for a, b in left))
    )
    columns = (
        Column("title", numeric=False),
        Column("N"),
        *(Column(effect.name.replace(":", " × ")) for effect in result.effects),
    )
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
            word(effect.name.replace(":", " × ")),
            CellText(signed(effect.test.mean), effect.test.mean),
            CellText(span(effect.test.percentile), effect.test.percentile.low if effect.test.percentile else None),
            CellText(span(effect.test.bca), effect.test.bca.low if effect.test.bca else None),
            CellText(chance(effect.p_holm).removeprefix("= "), effect.p_holm),
            CellText(chance(effect.test.p_sign_flip).removeprefix("= "), effect.test.p_sign_flip),
            CellText(number(effect.test.dz, 3), effect.test.dz),
        )
        for effect in result.effects
    )
    heads = (
        ("effect", ""),
        ("mean", ""),
        ("95 % interval", "bootstrap over pairs, percentiles"),
        ("BCa interval", "bootstrap over pairs, corrected for bias and skew"),
        ("p (Holm, t)", "t test, corrected over all effects of all quantities"),
        ("p (sign flips)", "permutation test, not corrected"),
        ("dz", "mean over standard deviation of the pairs' effects"),
    )
    columns = tuple(Column(name, numeric=place > 0, note=note) for place, (name, note) in enumerate(heads))
    return Table(f"effects-{result.metric}", f"Effects on {result.metric}, N = {result.n} pairs", columns, rows)


def worst_table(
    contests: Sequence[Contest], material: Material, played: Mapping[tuple[str, str], Played], most: int | None = 24
) -> Table:
    """Clips of systems, the worst first: by their mean rank over the quantities that may rank.

    Where none may, over all with a direction; where none has, over those that must not fall below a gate.
    """
    guarded = {gate.rule.quantity for gate in material.gates if gate.rule.rule == "at least"}
    ranking = [one for one in contests if one.ranks]
    directed = [one for one in contests if one.first.better != "none"]
    chosen = ranking or directed or [one for one in contests if one.first.quantity in guarded]  # less is stopped there
    basis = "" if ranking else " by quantities that a control wins" if directed else " by what a gate wants more of"
    lines = {contest.line: contest for contest in chosen}
    places: dict[tuple[str, str, int | None], dict[object, float | None]] = {}
    units: dict[str, tuple[str, str]] = {}
    for row in material.rows:
        line = (row.gap, row.quantity, row.variant)
        if not row.control and line in lines:
            unit = unit_name(row.title, row.clip)
            units[unit] = (row.title, row.clip)
            places.setdefault((row.config, unit, row.gap), {})[line] = row.value
    badness: dict[tuple[str, str, int | None], list[float]] = {place: [] for place in places}
    for line, contest in lines.items():
        sign = 1.0 if contest.first.better == "lower" else -1.0
        held = {place: value for place, got in places.items() if (value := got.get(line)) is not None}
        for place, share in _ranks({place: sign * value for place, value in held.items()}).items():
            badness[place].append(share)
    ordered = sorted(
        (place for place in places if badness[place]), key=lambda place: -sum(badness[place]) / len(badness[place])
    )
    rows = []
    shown = list(dict.fromkeys((contest.first.quantity, contest.line[2]) for contest in chosen))
    alike: dict[object, list[str]] = {}  # configurations that made the same of a clip are one line for people
    for config, unit, gap in ordered:
        own = config if most is None else tuple(places[config, unit, gap].values())
        alike.setdefault((unit, gap, own), []).append(config)
    firsts = {(configs[0], key[0], key[1]): configs for key, configs in alike.items() if isinstance(key, tuple)}
    listed = [place for place in ordered if place in firsts][:most]
    for config, unit, gap in listed:
        mean = sum(badness[config, unit, gap]) / len(badness[config, unit, gap])
        title, clip = units[unit]
        cells = [places[config, unit, gap].get((gap, *name)) for name in shown]
        film = played.get((unit, config))
        rows.append(
            (
                CellText(clip, clip, title, picture=film.poster if film else "", link=film.file if film else ""),
                word(", ".join(firsts[config, unit, gap])),
                *([plain_number(gap)] if any(line[0] for line in lines) else []),
                CellText(f"{100 * mean:.0f} %", mean),
                *(CellText(number(value), value) for value in cells),
            )
        )
    gaps = [Column("gap")] if any(line[0] for line in lines) else []
    columns = (
        Column("clip", numeric=False),
        Column("system", numeric=False),
        *gaps,
        Column("better are", note="mean share of clips and systems that are better, over the quantities shown"),
        *(column_of(next(c for c in chosen if (c.first.quantity, c.line[2]) == name)) for name in shown),
    )
    told = sum(len(firsts[place]) for place in listed)
    no_rank = "; an order to look by, no ranking" if basis else ""
    caption = f"{told} of {len(ordered)} clips, the worst first{basis}{no_rank}"
    return Table("worst", caption, columns, tuple(rows))


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


def _ranks(values: Mapping[tuple[str, str, int | None], float]) -> dict[tuple[str, str, int | None], float]:
    """For each, the share of the others that are smaller; ties count half."""
    others = max(1, len(values) - 1)
    numbers = list(values.values())
    return {
        key: (sum(other < value for other in numbers) + (sum(other == value for other in numbers) - 1) / 2) / others
        for key, value in values.items()
    }
