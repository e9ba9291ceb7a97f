"""The one schema of all tables, and how frames become clips.

A row is one number, or the reason why there is none. `FRAMES` holds a row for every frame and step, `CLIPS` one for
every clip and variant; both have the columns of `Row`. Averaging: counted frames to a part, parts to a clip, and (in
`summary`) clips to a system. A number that is missing is never averaged away: it is a row with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from animegen.measuring import Missing, Quantity, Value
from animegen_eval.items import Item, Variant
from animegen_eval.scoring import Failed, Score

SCHEMA_VERSION = 1
_LARGE = 1e12  # stands for infinity where matches are summed


@dataclass(frozen=True)
class Row:
    """One number.

    Attributes:
        run: Where the clip comes from.
        config: System or control.
        title: What the clip belongs to.
        clip: Name of the clip.
        gap: Frames between the given pictures; None where there is no such thing.
        control: Whether it is no system.
        metric: Name of the metric.
        quantity: Name of the number.
        variant: Which frames it is made of; empty for a single frame or step.
        scope: ``frame``, ``step``, ``clip`` or ``set``.
        index: Of the frame or step, counted in the clip; None for a clip.
        time: Of the frame, 0 to 1; that of a step is its end's.
        value: The number; infinite where its formula is; None where there is none.
        missing: Why there is none; or how many of its parts lack one.
        failed: Whether it is missing because something broke.
        unit: Unit.
        better: ``lower``, ``higher`` or ``none``.
        stratum: Kind of clip.
        part: Index at which the part of the clip begins; None for a clip.
        counts: Whether the frame counts in a headline number.
        steps: Steps of the clip, or of the part.
    """

    run: str
    config: str
    title: str
    clip: str
    gap: int | None
    control: bool
    metric: str
    quantity: str
    variant: str
    scope: str
    index: int | None
    time: float | None
    value: float | None
    missing: str
    failed: bool
    unit: str
    better: str
    stratum: str
    part: int | None
    counts: bool
    steps: int | None


COLUMNS = tuple(Row.__annotations__)


def frame_rows(score: Score) -> Iterator[Row]:
    """A row for every frame and step of a score; not of what is measured at another frame rate."""
    item = score.item
    for variant in item.variants:
        if variant.frame_rate or variant.in_region or variant.tolerant or variant.scope == "clip":
            continue
        if _is_narrower(variant, item):
            continue
        for quantity in _of(score, variant):
            values = score.measured[quantity.name]
            counted = range(len(item.shown.times)) if variant.counted is None else variant.counted
            base = _base(score, quantity, "", variant.scope)
            if isinstance(values, Missing):
                yield _with(base, values)
                continue
            assert isinstance(values, tuple)
            offset = variant.scope == "step"
            for index, value in enumerate(values):
                time = item.shown.times[index + offset]
                row = _with(base, value)
                yield replace(row, index=item.part + index, time=time, counts=offset or index in counted)


def _is_narrower(variant: Variant, item: Item) -> bool:
    """Whether another variant of the same scope counts more frames, so that this one's frames are in its rows."""
    same = [other for other in item.variants if other.scope == variant.scope and not other.tolerant]
    return variant is not max(same, key=lambda other: _count(other, item))


def _count(variant: Variant, item: Item) -> int:
    return len(item.shown.times) if variant.counted is None else len(variant.counted)


def clip_rows(scores: Iterable[Score]) -> list[Row]:
    """A row for every clip, system and variant: the mean over the counted frames, and over parts of the clip."""
    parts: dict[tuple[Any, ...], list[Row]] = {}
    for score in scores:
        for row in _part_rows(score):
            key = (row.config, row.control, row.title, row.clip, row.gap, row.quantity, row.variant)
            parts.setdefault(key, []).append(row)
    return [_joined(rows) for rows in parts.values()]


def _part_rows(score: Score) -> Iterator[Row]:
    for variant in score.item.variants:
        for quantity in _of(score, variant):
            value = _reduced(score, quantity, variant)
            yield replace(_with(_base(score, quantity, variant.name, quantity.scope), value), counts=True)


def _of(score: Score, variant: Variant) -> Iterator[Quantity]:
    for quantity in score.metric.quantities.values():
        if variant in score.item.asks(quantity):
            yield quantity


def _reduced(score: Score, quantity: Quantity, variant: Variant) -> Value:
    values = score.measured[quantity.name]
    if isinstance(values, (Missing, float)):
        return values
    if variant.tolerant and score.shifted:
        return tolerant_mean(score, quantity, variant.counted or ())
    counted = values if variant.counted is None else tuple(values[index] for index in variant.counted)
    return mean(counted)


def mean(values: tuple[Value, ...]) -> Value:
    """The mean, infinite where a value is; missing where one is, with the first reason."""
    if not values:
        return Missing("no frame counts")
    if lacking := [value for value in values if isinstance(value, Missing)]:
        worst = next((one for one in lacking if isinstance(one, Failed)), lacking[0])
        text = (
            worst.reason if len(lacking) == len(values) else f"{len(lacking)} of {len(values)} frames: {worst.reason}"
        )
        return type(worst)(text)
    numbers = [value for value in values if isinstance(value, float)]
    return sum(numbers) / len(numbers)


def tolerant_mean(score: Score, quantity: Quantity, counted: tuple[int, ...]) -> Value:
    """Mean over true frames, each held against the best of the drawn frames within a step of it, in order.

    Drawn frames are matched to true ones without going back in time (dynamic programming); given pictures are no
    candidates.
    """
    tables: dict[int, tuple[Value, ...]] = {}
    for by, measured in {0: score.measured, **score.shifted}.items():
        values = measured[quantity.name]
        if isinstance(values, Missing):
            return values
        assert isinstance(values, tuple)
        tables[by] = values
    sign = 1.0 if quantity.better == "higher" else -1.0
    best: dict[int, tuple[float, tuple[Value, ...]]] = {-1: (0.0, ())}
    for true in counted:
        ahead: dict[int, tuple[float, tuple[Value, ...]]] = {}
        for by, values in tables.items():
            drawn = true + by
            if drawn not in counted:
                continue
            value = values[true if by >= 0 else true + by]  # a shifted series begins with the first pair there is
            if isinstance(value, Missing):
                return value
            gain = sign * max(-_LARGE, min(_LARGE, value))
            before = [way for last, way in best.items() if last <= drawn]
            if before:
                total, way = max(before, key=lambda one: one[0])
                ahead[drawn] = max(ahead.get(drawn, (-math.inf, ())), (total + gain, (*way, value)), key=lambda o: o[0])
        best = ahead
    return mean(max(best.values(), key=lambda one: one[0])[1])


def _joined(rows: list[Row]) -> Row:
    """Parts of a clip as the clip."""
    values = [row.value for row in rows if row.value is not None]
    broken = next((row for row in rows if row.failed), None)
    lacking = [row for row in rows if row.value is None]
    missing, value = "", None
    if broken is not None:
        missing = broken.missing
    elif not values:
        missing = rows[0].missing
    else:
        value = sum(values) / len(values)
        missing = f"{len(lacking)} of {len(rows)} parts: {lacking[0].missing}" if lacking else ""
    strata = sorted(row.stratum for row in rows)
    return replace(
        rows[0],
        value=value,
        missing=missing,
        failed=broken is not None,
        part=None,
        stratum=max(dict.fromkeys(strata), key=strata.count),
    )


def _base(score: Score, quantity: Quantity, variant: str, scope: str) -> Row:
    item = score.item
    return Row(
        run=item.run,
        config=item.config,
        title=item.title,
        clip=item.clip,
        gap=item.gap,
        control=item.control,
        metric=score.metric.stage.name,
        quantity=quantity.name,
        variant=variant,
        scope=scope,
        index=None,
        time=None,
        value=None,
        missing="",
        failed=False,
        unit=quantity.unit,
        better=quantity.better,
        stratum=item.stratum,
        part=item.part,
        counts=False,
        steps=len(item.shown.times) - 1,
    )


def _with(row: Row, value: Value) -> Row:
    if isinstance(value, Missing):
        return replace(row, missing=value.reason, failed=isinstance(value, Failed))
    return replace(row, value=float(value))
