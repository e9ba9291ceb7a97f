"""Tables on disk: ``frames`` and ``clips`` as Parquet and CSV, and ``summary.json`` beside them.

`Evaluation` is what an evaluation leaves: `write` puts it into a folder, `read_summary` and `read_rows` take it out
again. Columns are those of `rows.Row`; ``summary.json`` holds everything else: profile and its hash, metrics with their
weights' digests, versions, command line, notes, what is missing and what failed, and the figures of `summary.Figure`.
An infinite number is ``"inf"`` in JSON and ``inf`` in the tables; one that is missing is null, with its reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from animegen.atomic import replacing, write_bytes
from animegen.documents import read_json
from animegen.errors import InputError
from animegen.imageio import no_such_file
from animegen_eval.rows import COLUMNS, SCHEMA_VERSION, Row
from animegen_eval.statistics.records import plain
from animegen_eval.summary import Summary

SUMMARY = "summary.json"
KIND = "animegen-evaluation"
MAKE_HINT = "animegen evaluate CLIPS... --out FOLDER makes an evaluation, animegen ablate PAIRS a study"
_TYPES = {
    "run": pa.string(),
    "config": pa.string(),
    "title": pa.string(),
    "clip": pa.string(),
    "gap": pa.int32(),
    "control": pa.bool_(),
    "metric": pa.string(),
    "quantity": pa.string(),
    "variant": pa.string(),
    "scope": pa.string(),
    "index": pa.int32(),
    "time": pa.float64(),
    "value": pa.float64(),
    "missing": pa.string(),
    "failed": pa.bool_(),
    "unit": pa.string(),
    "better": pa.string(),
    "stratum": pa.string(),
    "part": pa.int32(),
    "counts": pa.bool_(),
    "steps": pa.int32(),
}
SCHEMA = pa.schema([pa.field(name, _TYPES[name]) for name in COLUMNS])


@dataclass(frozen=True)
class Evaluation:
    """Everything that an evaluation found.

    Attributes:
        frames: A row for every frame and step.
        clips: A row for every clip and variant.
        summary: Systems, controls and gates.
        facts: Profile, metrics, versions, inputs, notes, missing, failures: as they stand in ``summary.json``.
    """

    frames: tuple[Row, ...]
    clips: tuple[Row, ...]
    summary: Summary
    facts: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """``summary.json``."""
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            **self.facts,
            "figures": plain(self.summary.figures),
            "gates": plain(self.summary.gates),
        }


def write(evaluation: Evaluation, folder: Path) -> dict[str, str]:
    """Write all tables into a folder, each whole or not at all, the summary last; gives names of what was written.

    Raises:
        ResourceError: The disk is full or read-only.
    """
    names = {}
    for name, rows in (("frames", evaluation.frames), ("clips", evaluation.clips)):
        table = as_table(rows)
        with replacing(folder / f"{name}.parquet") as path:
            pa.parquet.write_table(table, path)
        with replacing(folder / f"{name}.csv") as path:
            pa.csv.write_csv(table, path)
        names[name] = f"{name}.parquet"
        names[f"{name}_csv"] = f"{name}.csv"
    document = {**evaluation.document(), "files": names}
    write_bytes(folder / SUMMARY, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())
    return {**names, "summary": SUMMARY}


def as_table(rows: Sequence[Row]) -> pa.Table:
    """Rows as a table of Arrow, columns in the order of `rows.Row`."""
    columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    return pa.table(columns, schema=SCHEMA)


def read_summary(folder: Path) -> dict[str, Any]:
    """The document of an evaluation's folder, or of its summary.json.

    Raises:
        InputError: It is none, or of a schema this version does not know.
    """
    if not folder.exists():
        absent = no_such_file(folder)
        raise InputError(absent.message, hint=(*absent.hints, MAKE_HINT))
    path = folder / SUMMARY if folder.is_dir() else folder
    if not path.exists():
        raise InputError(f"{folder} holds no evaluation.", hint=(f"there is no {SUMMARY} in it", MAKE_HINT))
    try:
        document = read_json(path, "the summary of an evaluation")
    except InputError as error:
        raise InputError(error.message, hint=(*error.hints, MAKE_HINT)) from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InputError(f"{path} is no summary of an evaluation.", hint=MAKE_HINT)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {document.get('schema_version')}; this reads {SCHEMA_VERSION}.",
            hint="evaluate again with this animegen; what is still right is not measured twice",
        )
    return document


def read_rows(folder: Path, name: str = "clips") -> tuple[Row, ...]:
    """The rows of one table of an evaluation's folder.

    Raises:
        InputError: It is absent or damaged.
    """
    path = folder / f"{name}.parquet"
    try:
        table = pa.parquet.read_table(path)
        return tuple(Row(**{column: row[column] for column in COLUMNS}) for row in table.to_pylist())
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as a table of an evaluation: {error}.",
            hint="the same animegen evaluate ... writes it again; what was measured is not measured twice",
        ) from error


def number(value: float | None) -> str:
    """A number for people: four digits, ``inf``, or ``-`` where there is none."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"
