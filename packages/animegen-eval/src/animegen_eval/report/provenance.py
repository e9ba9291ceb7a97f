"""Where a report's numbers come from: versions, metrics, weights, inputs, command lines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from animegen_eval.report.cells import CellText, Column, Table
from animegen_eval.report.material import Material

_SHORT = 16


def provenance(material: Material) -> list[Table]:
    """Tables of everything that decides the numbers."""
    facts = material.facts
    metrics, weights = [], []
    for metric in facts.get("metrics", ()):
        metrics.append(
            [
                metric.get("metric") or metric["name"],
                metric.get("version"),
                _options(metric),
                _digest(metric.get("code")),
            ]
        )
        weights += [
            [metric["name"], file, digest or "not published"] for file, digest in metric.get("weights", {}).items()
        ]
    drawn = [
        [one.get("interpolator") or one["name"], one.get("version"), _options(one), _digest(one.get("code"))]
        for one in facts.get("interpolators", ())
    ]
    inputs = [
        [
            one["clip"], one["title"], one["config"], f"{one['width']}×{one['height']}", one["frames"], one["fps"],
            one["stored"], _digest(one["digest"]),
        ]
        for one in facts.get("inputs", ())
    ]  # fmt: skip
    sessions = (facts.get("study") or {}).get("sessions", ())
    environments = [("scored with", facts.get("environment", {}))]
    environments += [(f"drawn from {one['begun']}", one["environment"]) for one in sessions]
    versions = [[when, name, version] for when, here in environments for name, version in here.items()]
    found = [
        _table("versions", "Versions", ("when", "what", "version"), versions),
        _table("metrics", "Metrics", ("metric", "version", "options", "code"), metrics),
        _table("weights", "Weights", ("metric", "file", "SHA-256"), weights),
        _table("interpolators", "Interpolators that drew here", ("name", "version", "options", "code"), drawn),
        _table("inputs", "Inputs", ("clip", "title", "system", "size", "frames", "fps", "stored as", "digest"), inputs),
        _table("profile", "Profile", ("what", "value"), [[k, _value(v)] for k, v in facts.get("profile", {}).items()]),
        _study(facts.get("study")),
    ]
    return [table for table in found if table is not None]


def command_line(argv: Sequence[str]) -> str:
    """A command as one types it: the program by its name, not by where it lies here."""
    words = [str(word) for word in argv]
    return shlex.join([PurePath(words[0]).name, *words[1:]]) if words else ""


def notes(material: Material) -> list[str]:
    """What evaluation and study noted, and metrics that could not be measured."""
    facts = material.facts
    study = facts.get("study") or {}
    lacking = facts.get("missing", ())
    told = lacking.items() if isinstance(lacking, Mapping) else [(one["metric"], one["reason"]) for one in lacking]
    missing = [f"{name} was not measured: {reason}" for name, reason in told]
    return [*missing, *facts.get("notes", ()), *study.get("choice", {}).get("notes", ()), *study.get("notes", ())]


def _study(study: Mapping[str, Any] | None) -> Table | None:
    """Rule of choice, seed and pairs with their digests."""
    if not study:
        return None
    choice = study["choice"]
    rows = [["rule", _value(choice.get("rule"))], ["candidates", choice.get("candidates")]]
    rows += [["candidates, SHA-256", choice.get("candidates_sha256")]]
    for pair in choice["pairs"]:
        digests = ", ".join(f"{name} {_digest(digest)}" for name, digest in pair.get("sha256", {}).items())
        rows.append([f"pair {pair['id']}", digests])
    return _table("pairs", "How pairs were chosen", ("what", "value"), rows)


def _table(name: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table | None:
    if not rows:
        return None
    columns = tuple(Column(title, numeric=False) for title in header)
    cells = tuple(
        tuple(CellText("–" if v in (None, "") else str(v), None if v is None else str(v)) for v in row) for row in rows
    )
    return Table(name, caption, columns, cells)


def _options(record: Mapping[str, Any]) -> str:
    return _value(record.get("options") or {})


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(one) for one in value)
    return str(value)


def _digest(digest: object) -> str:
    text = str(digest or "")
    return f"{text[:_SHORT]}…" if len(text) > _SHORT else text
