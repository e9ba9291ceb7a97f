"""Clips to systems: means with intervals, controls held against them, gates, ranks."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from animegen_eval.controls import REAL, REPEAT
from animegen_eval.profiles import GateRule, Profile
from animegen_eval.rows import Row
from animegen_eval.statistics.bootstrap import percentile_interval
from animegen_eval.statistics.records import Interval

LEAST_REAL = 5
"""Real clips below which their 5th and 95th percentile are no band."""
_LEAST_TITLES = 2

Column: TypeAlias = "NDArray[np.float64]"
Verdict = Literal["passed", "failed", "unknown"]


@dataclass(frozen=True)
class Figure:
    """What one system, or control, has of one quantity.

    Attributes:
        config: System or control.
        control: Whether it is no system.
        gap: See `rows.Row`.
        stratum: Kind of clips; empty for all.
        title: What the clips belong to; empty for all.
        clip: Name of the clip, in a table by clip; empty for all.
        metric, quantity, variant, scope, unit, better: As in rows.
        headline: Whether it is the variant that the profile ranks by.
        n: Clips with a value.
        mean: Over clips; infinite where one is; None where there is no value.
        finite_mean: Over clips with a finite value.
        infinite: Clips with an infinite value.
        sd: Of finite values over clips; None below two.
        interval: Bootstrap interval of the mean, over titles where clips share some, else over clips; None below two.
        missing: Clips without a value.
        failed: Clips without one because something broke.
        reasons: Why, each once.
        beaten_by: Controls that are better than the real clips, or, where those have no value, than every system: what
            they win cannot rank.
        rank: Among systems, 1 the best; None for a control, a diagnostic, or where `beaten_by` is not empty.
    """

    config: str
    control: bool
    gap: int | None
    stratum: str
    title: str
    clip: str
    metric: str
    quantity: str
    variant: str
    scope: str
    unit: str
    better: str
    headline: bool
    n: int
    mean: float | None
    finite_mean: float | None
    infinite: int
    sd: float | None
    interval: Interval | None
    missing: int
    failed: int
    reasons: tuple[str, ...]
    beaten_by: tuple[str, ...] = ()
    rank: int | None = None


@dataclass(frozen=True)
class GateResult:
    """Whether a system passed a gate.

    Attributes:
        config: System.
        gap: See `rows.Row`.
        rule: The gate.
        value: What the system has, over clips with a finite value where some have one; None where that is missing.
        low, high: What it had to be within; None for no bound, or where there is no band.
        verdict: ``unknown`` where a value or a band is missing.
        reason: Why it is unknown.
    """

    config: str
    gap: int | None
    rule: GateRule
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Summary:
    """A table of systems.

    Attributes:
        figures: By gap, quantity, variant and config.
        gates: Of every system.
    """

    figures: tuple[Figure, ...]
    gates: tuple[GateResult, ...] = field(default=())


def summarise(
    rows: Sequence[Row],
    profile: Profile,
    *,
    by: str = "config",
    strata: bool = True,
    subsets: Mapping[str, Collection[tuple[str, str]]] | None = None,
) -> Summary:
    """The table of clips as one of systems.

    Args:
        rows: A row for every clip and variant (`rows.clip_rows`).
        profile: Says which variant ranks, and the gates.
        by: ``config``; ``title`` or ``clip`` for a line for each of these beside.
        strata: Lines for each kind of clip beside, where there is more than one.
        subsets: Lines for each of these, too: by name (which becomes the figures' stratum), the title and name of each
            clip. A clip may be in several.
    """
    groups = list(_groups(rows, lambda row: ("", "", "")))
    if strata and len({row.stratum for row in rows}) > 1:
        groups += _groups(rows, _by_stratum)
    for name, clips in (subsets or {}).items():
        groups += _groups((replace(row, stratum=name) for row in rows if (row.title, row.clip) in clips), _by_stratum)
    if by == "title":
        groups += _groups(rows, lambda row: ("", row.title, ""))
    elif by == "clip":
        groups += _groups(rows, lambda row: ("", row.title, row.clip))
    figures: list[Figure] = []
    for (stratum, title, clip), members in groups:
        figures += _table([_figure(group, profile, stratum, title, clip) for group in members])
    return Summary(tuple(figures), tuple(_gates(rows, profile)))


def _by_stratum(row: Row) -> tuple[str, str, str]:
    return row.stratum, "", ""


def _groups(rows: Iterable[Row], part: object) -> list[tuple[tuple[str, str, str], list[list[Row]]]]:
    """Rows by part of the table, and within it by line."""
    assert callable(part)
    found: dict[tuple[str, str, str], dict[tuple[object, ...], list[Row]]] = {}
    for row in rows:
        line = (row.gap, row.quantity, row.variant, row.control, row.config)
        found.setdefault(part(row), {}).setdefault(line, []).append(row)
    return [(key, list(lines.values())) for key, lines in found.items()]


def _figure(rows: Sequence[Row], profile: Profile, stratum: str, title: str, clip: str) -> Figure:
    first = rows[0]
    with_value = [row for row in rows if row.value is not None]
    values = np.array([row.value for row in with_value], np.float64)
    finite = np.isfinite(values)
    numbers = values[finite]
    titles = [row.title for row, known in zip(with_value, finite, strict=True) if known]
    headline = first.variant == (profile.headline if first.scope == "frame" else _HEADLINES[first.scope])
    return Figure(
        first.config,
        first.control,
        first.gap,
        stratum,
        title,
        clip,
        first.metric,
        first.quantity,
        first.variant,
        first.scope,
        first.unit,
        first.better,
        headline,
        len(values),
        _mean(values),
        float(numbers.mean()) if numbers.size else None,
        int((~finite).sum()),
        float(numbers.std(ddof=1)) if numbers.size > 1 else None,
        _interval(numbers, titles) if finite.all() else None,
        len(rows) - len(with_value),
        sum(row.failed for row in rows),
        tuple(dict.fromkeys(row.missing for row in rows if row.missing)),
    )


_HEADLINES = {"step": "steps", "clip": "clip", "set": "set"}


def _mean(values: Column) -> float | None:
    if not values.size:
        return None
    if np.isposinf(values).any() and np.isneginf(values).any():
        return None
    return float(values.mean())


def _interval(values: Column, titles: Sequence[str]) -> Interval | None:
    """Over titles, drawn whole, where some hold several clips; else over clips."""
    if values.size < 2:
        return None
    names = sorted(set(titles))
    if _LEAST_TITLES <= len(names) < values.size:
        of_title = [values[[title == name for title in titles]] for name in names]
        sums, counts = np.array([one.sum() for one in of_title]), np.array([float(one.size) for one in of_title])
        return percentile_interval(_pooled, sums, counts, over="titles")
    return percentile_interval(np.mean, values, over="clips")


def _pooled(sums: Column, counts: Column, axis: int = -1) -> Column:
    return np.asarray(sums.sum(axis=axis) / counts.sum(axis=axis))


def _table(figures: Sequence[Figure]) -> list[Figure]:
    """Figures with controls held against systems, and ranks."""
    lines: dict[tuple[object, ...], list[Figure]] = {}
    for figure in figures:
        variant = figure.variant if "native" not in figure.variant else "native"
        lines.setdefault((figure.gap, figure.quantity, variant), []).append(figure)
    found = []
    for line in lines.values():
        beaten = beaten_by(line)
        ranked = sorted(
            (one for one in line if not one.control and one.mean is not None and one.better != "none"),
            key=lambda one: _worse(one.better, one.mean),
        )
        native = "native" in line[0].variant
        for figure in line:
            rank = None
            if figure in ranked and not beaten and not native:
                rank = 1 + sum(_worse(o.better, o.mean) < _worse(figure.better, figure.mean) for o in ranked)
            found.append(replace(figure, beaten_by=beaten, rank=rank))
    return found


def beaten_by(line: Sequence[Figure]) -> tuple[str, ...]:
    """Controls that a quantity prefers to the real clips; or, where those have no value, to every system.

    At clips' own frame rates: repeated clips that it prefers to the same clips as they are.
    """
    better = line[0].better
    if better == "none":
        return ()
    known = [one for one in line if one.mean is not None]
    if "native" in line[0].variant:
        own = {one.config: one for one in known if not one.config.startswith(REPEAT)}
        repeats = [one for one in known if one.config.startswith(REPEAT)]
        pairs = [(one, own.get(one.config.removeprefix(f"{REPEAT} "), own.get(REAL))) for one in repeats]
        return tuple(
            one.config for one, as_is in pairs if as_is and _worse(better, one.mean) < _worse(better, as_is.mean)
        )
    real = [one for one in known if one.control and one.config == REAL]
    held = real or [one for one in known if not one.control]
    rivals = [one for one in known if one.control and one.config != REAL]
    if not held:
        return ()
    best = min(_worse(better, one.mean) for one in held)
    return tuple(sorted({one.config for one in rivals if _worse(better, one.mean) < best}))


def _worse(better: str, mean: float | None) -> float:
    """A number that is larger for what is worse."""
    assert mean is not None
    return -mean if better == "higher" else mean


def _gates(rows: Sequence[Row], profile: Profile) -> Iterable[GateResult]:
    for rule in profile.gates:
        mine = [row for row in rows if row.quantity == rule.quantity and row.variant in ("middles", "clip")]
        for gap in dict.fromkeys(row.gap for row in mine):
            here = [row for row in mine if row.gap == gap and not row.config.startswith(REPEAT)]
            real = [row.value for row in here if row.control and row.config == REAL and row.value is not None]
            band = _band(rule, [value for value in real if math.isfinite(value)])
            for config in dict.fromkeys(row.config for row in here if not row.control):
                values = [row.value for row in here if row.config == config and not row.control]
                yield _gate(rule, config, gap, values, band, len(real))


def _band(rule: GateRule, real: Sequence[float]) -> tuple[float | None, float | None] | None:
    if rule.rule == "at least":
        return rule.number, None
    if len(real) < LEAST_REAL:
        return None
    low, high = (float(end) for end in np.percentile(real, (5, 95)))
    return {"at least real": (low, None), "at most real": (None, high), "within real": (low, high)}[rule.rule]


def _gate(
    rule: GateRule,
    config: str,
    gap: int | None,
    values: Sequence[float | None],
    band: tuple[float | None, float | None] | None,
    real: int,
) -> GateResult:
    numbers = [value for value in values if value is not None]
    finite = [value for value in numbers if math.isfinite(value)]
    counted = finite or numbers  # one equal clip's infinity must not hide the others
    value = sum(counted) / len(counted) if counted else None
    if value is None or band is None:
        why = "it has no value" if value is None else f"{real} real clips make no band; it takes {LEAST_REAL}"
        return GateResult(config, gap, rule, value, None, None, "unknown", why)
    low, high = band
    inside = (low is None or value >= low) and (high is None or value <= high)
    return GateResult(config, gap, rule, value, low, high, "passed" if inside else "failed")
