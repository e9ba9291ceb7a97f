"""``data.json``: what was asked for, what it was made of, and what there is."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from animegen.datasets.options import DataSettings
from animegen.datasets.records import DataPlan
from animegen.documents import read_json
from animegen.errors import InputError
from animegen.options import describe_options, to_json
from animegen.pipeline.record import environment
from animegen.pipeline.session import named_files

SCHEMA_VERSION = 1


@dataclass
class DataRecord:
    """One dataset, over all the runs it took.

    Attributes:
        identity: What decides what is made of a video; a folder is only gone on with where this is the same.
        material: Digests of what was read, by path.
        options: Of the maker, each with its source.
        data: Of the command, each with its source.
        outputs: Files of the folder, relative to it.
        use: The command that uses it.
        seconds: Over all runs that came to their end or were stopped by Ctrl-C.
    """

    FILE: ClassVar[str] = "data.json"

    dataset: str
    version: str
    identity: dict[str, Any]
    material: dict[str, str]
    options: dict[str, dict[str, Any]]
    data: dict[str, dict[str, Any]]
    weights: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    summary: str = ""
    use: str = ""
    status: Literal["running", "done", "failed", "interrupted"] = "running"
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    argv: list[str] = field(default_factory=lambda: list(sys.argv))
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: dict[str, str] = field(default_factory=environment)
    command: str = "data"
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(
        cls, settings: DataSettings, plan: DataPlan, weights: dict[str, str], earlier: Mapping[str, Any] | None
    ) -> DataRecord:
        """The record of a dataset that is begun, or (`earlier`) gone on with."""
        return cls(
            dataset=settings.maker.full_name,
            version=settings.maker.plugin.version,
            identity=identity(settings, weights),
            material=dict(plan.digests),
            options=settings.options.as_record(),
            data=settings.data.as_record(),
            weights=weights,
            facts=dict(plan.facts),
            seconds=earlier["seconds"] if earlier else 0.0,
            warnings=list(plan.warnings),
        )

    def to_json(self) -> str:
        """The text of data.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def identity(settings: DataSettings, weights: Mapping[str, str]) -> dict[str, Any]:
    """All that decides what is made of a video. Which videos is no part of it: more of them may be added."""
    spec, values = settings.spec, settings.options.values
    files = {info.name for info in describe_options(spec.options) if info.file}  # known by their bytes, below
    options = {name: value for name, value in to_json(values).items() if name not in {*spec.changeable, *files}}
    return {
        "dataset": settings.maker.full_name,
        **{f"option {name}": value for name, value in options.items()},
        "files": named_files(values),
        "dtype": settings.data.values.dtype,
        "weights": dict(weights),
    }


def read_dataset(folder: Path) -> dict[str, Any] | None:
    """The document of the dataset that `folder` holds, or None.

    Raises:
        InputError: There is one, but it cannot be read, or is of a schema this version does not know.
    """
    path = folder / DataRecord.FILE
    if not path.is_file():
        return None
    document = read_json(path, "a data.json")
    version = document.get("schema_version") if isinstance(document, Mapping) else None
    if version != SCHEMA_VERSION:
        raise InputError(f"{path} has schema version {version}; this animegen reads {SCHEMA_VERSION}.")
    return dict(document)
