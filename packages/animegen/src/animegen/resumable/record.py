"""The document in the folder of long work: what was asked for, what it was made of, how far it came, what it left."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from animegen.atomic import write_bytes
from animegen.documents import read_document
from animegen.options import describe_options, to_json
from animegen.pipeline.record import Status, ending_kept, environment
from animegen.pipeline.session import named_files
from animegen.resumable.plan import WorkPlan, WorkResult
from animegen.resumable.settings import WorkKind, WorkSettings

SCHEMA_VERSION = 1
_BY_DIGEST = ("files", "material", "weights")  # that they changed is all that can be said of them
R = TypeVar("R", bound="WorkRecord")


@dataclass(kw_only=True)
class WorkRecord:
    """Some long work, over all the runs it took.

    Attributes:
        kind: The command.
        stage: Full name of what does it.
        identity: What decides the result; the work is only gone on with where this is the same.
        material: Digests of what was read, and what else there is to know it by.
        options: Of the stage, each with its source.
        own: Of the command, each with its source.
        outputs: Files of the folder, relative to it.
        use: How to use what was made.
        seconds: Over all runs that came to their end or were stopped by Ctrl-C.
    """

    kind: WorkKind[Any]
    stage: str
    version: str
    identity: dict[str, Any]
    material: dict[str, str]
    options: dict[str, dict[str, Any]]
    own: dict[str, dict[str, Any]]
    weights: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    use: str = ""
    status: Status = "running"
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    argv: list[str] = field(default_factory=lambda: list(sys.argv))
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls: type[R],
        settings: WorkSettings[Any],
        plan: WorkPlan,
        identity: Mapping[str, Any],
        material: Mapping[str, str],
        earlier: Mapping[str, Any] | None,
    ) -> R:
        """The record of work that begins, or goes on from what an `earlier` document tells of."""
        return cls(
            kind=settings.kind,
            stage=settings.stage.full_name,
            version=settings.stage.plugin.version,
            identity=dict(identity),
            material=dict(material),
            options=settings.options.as_record(),
            own=settings.own.as_record(),
            weights=identity["weights"],
            facts=dict(plan.facts),
            seconds=earlier["seconds"] if earlier else 0.0,
            warnings=list(plan.warnings),
            environment=environment(*settings.kind.libraries),
        )

    def finish(self, result: WorkResult, folder: Path, warnings: Sequence[str]) -> None:
        """The work is done and left `result` in `folder`."""
        self.status, self.use = "done", result.use
        self.outputs = [os.path.relpath(path, folder) for path in result.files]
        self.facts = {**self.facts, **result.facts}
        self.warnings += [text for text in warnings if text not in self.warnings]

    def to_json(self) -> str:
        """The text of the document: the stage stands under its kind, the command's options under the command."""
        names = {"stage": self.kind.stage, "own": self.kind.command}
        values = {names.get(one.name, one.name): getattr(self, one.name) for one in fields(self) if one.name != "kind"}
        values |= {"command": self.kind.command, "schema_version": SCHEMA_VERSION}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def identity(
    settings: WorkSettings[Any], weights: Mapping[str, str], material: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """All that decides the result.

    Args:
        settings: What is asked for. Options that a stage calls changeable are left out.
        weights: Digests of what is loaded.
        material: What is read, where other material makes it other work.
    """
    kind, values = settings.kind, settings.options.values
    files = {info.name for info in describe_options(type(values)) if info.file}  # known by their bytes, below
    left_out = {*settings.spec.changeable, *files}
    return {
        kind.stage: settings.stage.full_name,
        **{f"option {name}": value for name, value in to_json(values).items() if name not in left_out},
        "files": named_files(values),
        **{name: getattr(settings.values, name) for name in kind.decisive},
        **(material or {}),
        "weights": dict(weights),
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How two identities differ, in words; empty where they do not."""
    told = [
        f"the {name} changed" if name in _BY_DIGEST else f"{name} was {then.get(name)} and is {value}"
        for name, value in now.items()
        if value != then.get(name)
    ]
    return "; ".join(told)


def read_record(kind: WorkKind[Any], folder: Path) -> dict[str, Any] | None:
    """The document of what `folder` holds, or None.

    Raises:
        InputError: There is one, but it cannot be read, or is of a schema this version does not know.
    """
    path = folder / kind.file
    return read_document(path, f"a {kind.file}", SCHEMA_VERSION) if path.is_file() else None


@contextmanager
def recorded(record: WorkRecord, folder: Path, stopped: str, hint: str = "", *, written: bool = True) -> Iterator[None]:
    """Keep the document of `folder` true, however the block ends; see `animegen.pipeline.record.ending_kept`.

    Args:
        written: Whether this process is the one that writes it, where several share the work.
    """
    began, before = time.monotonic(), record.seconds

    def save() -> None:
        record.seconds = round(before + time.monotonic() - began, 3)
        if written:
            write_bytes(folder / record.kind.file, record.to_json().encode())

    save()
    with ending_kept(record, save, stopped, hint):
        yield
