"""Two evaluations, or two systems of one, paired by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animegen.errors import InputError, UsageError, did_you_mean
from animegen_eval.rows import Row
from animegen_eval.statistics.comparison import Comparison, compare
from animegen_eval.statistics.records import Resampling
from animegen_eval.statistics.relative import Better
from animegen_eval.tables import read_rows, read_summary

_SHOWN = 5


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        folder: Of the evaluation.
        config: The system.
        document: The evaluation's summary.
        rows: Clips of the system.
    """

    folder: Path
    config: str
    document: Mapping[str, Any]
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        return f"{self.folder}:{self.config}"


def open_side(folder: Path, config: str = "") -> Side:
    """One system of an evaluation.

    Args:
        folder: Of the evaluation.
        config: Name of the system; may be left out where there is only one.

    Raises:
        InputError: The folder holds no evaluation.
        UsageError: It has no such system, or several and none is named.
    """
    document, rows = read_summary(folder), read_rows(folder)
    systems = sorted({row.config for row in rows if not row.control})
    controls = sorted({row.config for row in rows if row.control})
    if not config:
        if len(systems) != 1:
            raise UsageError(
                f"{folder} has {len(systems)} systems: {', '.join(systems)}.", hint=f"say which: {folder}:{systems[0]}"
            )
        config = systems[0]
    mine = tuple(row for row in rows if row.config == config and (not row.control or config not in systems))
    if not mine:
        near = did_you_mean(config, [*systems, *controls])
        raise UsageError(
            f"{folder} has no system {config!r}.", hint=f"{near}It has {', '.join([*systems, *controls])}."
        )
    return Side(folder, config, document, mine)


def compare_sides(
    a: Side, b: Side, metrics: Sequence[str] = (), *, variants: Sequence[str] = (), resampling: Resampling | None = None
) -> Comparison:
    """B against A: each quantity (and gap) is a row, each clip a pair.

    Args:
        a: Base.
        b: What is held against it.
        metrics: Names of metrics or quantities; none for all that say which direction is better.
        variants: Names of variants; none for the profile's headlines.
        resampling: Draws and seeds.

    Raises:
        InputError: The evaluations have different profiles, metrics with other options or weights, or other clips; or
            there is nothing to compare.
    """
    _same_profile(a, b)
    _same_metrics(a, b)
    wanted = set(variants) or {str(a.document["profile"]["headline"]), "steps", "clip", "set"}
    left, right = (_by_quantity(side, metrics, wanted) for side in (a, b))
    if not left or not right:
        known = sorted({row.quantity for row in (*a.rows, *b.rows)})
        raise InputError(
            f"there is nothing to compare in {', '.join(sorted(wanted))}: {a} and {b} have {', '.join(known)}.",
            hint="--metric NAME; a quantity without a direction must be named",
        )
    better: dict[str, Better] = {name: rows[0].better for name, rows in left.items()}  # type: ignore[misc]
    return compare(
        {name: _clips(rows) for name, rows in left.items()},
        {name: _clips(rows) for name, rows in right.items()},
        better=better,
        resampling=resampling,
    )


def _same_profile(a: Side, b: Side) -> None:
    one, other = a.document["profile"], b.document["profile"]
    if one["hash"] == other["hash"]:
        return
    differing = [name for name in one if name not in ("hash", "summary") and one.get(name) != other.get(name)]
    told = "; ".join(f"{name} {one.get(name)} and {other.get(name)}" for name in differing)
    raise InputError(
        f"{a.folder} and {b.folder} have different profiles ({one['hash']}, {other['hash']}): {told}.",
        hint="numbers of different profiles mean different things: evaluate both with the same options",
    )


def _same_metrics(a: Side, b: Side) -> None:
    """Refuse numbers of one name that were measured with other options or weights."""
    theirs = {metric["name"]: metric for metric in b.document["metrics"]}
    for metric in a.document["metrics"]:
        other = theirs.get(metric["name"])
        if other is None:
            continue
        for what in ("options", "weights", "version", "code"):
            if metric[what] != other[what]:
                raise InputError(
                    f"{metric['name']} was measured with other {what} in {a.folder} than in {b.folder}.",
                    hint="evaluate both again with the same program; what is still right is not measured twice",
                )


def _by_quantity(side: Side, metrics: Sequence[str], variants: set[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in side.rows:
        named = row.quantity in metrics or row.metric in metrics
        if row.variant not in variants or not (named if metrics else row.better != "none"):
            continue
        gap = "" if row.gap is None else f" gap {row.gap}"
        variant = f":{row.variant}" if len([name for name in variants if name.startswith("middle")]) > 1 else ""
        found.setdefault(f"{row.quantity}{variant}{gap}", []).append(row)
    return found


def _clips(rows: Sequence[Row]) -> dict[str, float | None]:
    clips: dict[str, float | None] = {}
    for row in rows:
        name = f"{row.title}/{row.clip}" if row.title else row.clip
        clips[name] = row.value
    return clips
