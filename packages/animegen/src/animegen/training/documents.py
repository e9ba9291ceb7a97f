"""``train.json``: what a training was asked to do, how far it came, and what it left."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal

from animegen.documents import read_json
from animegen.errors import InputError
from animegen.options import describe_options, to_json
from animegen.pipeline.record import environment
from animegen.pipeline.session import named_files
from animegen.training.options import TrainSettings
from animegen.training.records import TrainingPlan

SCHEMA_VERSION = 1


@dataclass
class TrainingRecord:
    """One training, over all the runs it took.

    Attributes:
        identity: What decides what is learnt; a training is only taken up where this is the same.
        material: Where it lay, its digest, and what it was found to be.
        options: Of the trainer, each with its source.
        train: Of the training, each with its source.
        step: Steps done.
        loss: Of the last one.
        outputs: Files of the folder, relative to it.
        use: Options of ``animegen run`` that use what was learnt.
        seconds: Time spent training, over all runs that came to their end or were stopped by Ctrl-C.
    """

    FILE: ClassVar[str] = "train.json"

    trainer: str
    version: str
    identity: dict[str, Any]
    material: dict[str, str]
    options: dict[str, dict[str, Any]]
    train: dict[str, dict[str, Any]]
    weights: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    loss: float | None = None
    outputs: list[str] = field(default_factory=list)
    use: str = ""
    status: Literal["running", "done", "failed", "interrupted"] = "running"
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    argv: list[str] = field(default_factory=lambda: list(sys.argv))
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: dict[str, str] = field(default_factory=lambda: _environment())
    command: str = "train"
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(
        cls,
        settings: TrainSettings,
        material: Path,
        plan: TrainingPlan,
        identity: dict[str, Any],
        weights: dict[str, str],
        earlier: Mapping[str, Any] | None,
    ) -> TrainingRecord:
        """The record of a training that begins, or (`earlier`) goes on."""
        return cls(
            trainer=settings.trainer.full_name,
            version=settings.trainer.plugin.version,
            identity=identity,
            material={"path": str(material.absolute()), "sha256": plan.digest, "found": plan.material},
            options=settings.options.as_record(),
            train=settings.train.as_record(),
            weights=weights,
            facts=dict(plan.facts),
            step=earlier["step"] if earlier else 0,
            loss=earlier["loss"] if earlier else None,
            seconds=earlier["seconds"] if earlier else 0.0,
            warnings=list(plan.warnings),
        )

    def to_json(self) -> str:
        """The text of train.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def identity(settings: TrainSettings, material: str, weights: Mapping[str, str]) -> dict[str, Any]:
    """All that decides what is learnt, but for how long."""
    spec, values = settings.spec, settings.options.values
    files = {info.name for info in describe_options(spec.options) if info.file}  # known by their bytes, below
    options = {name: value for name, value in to_json(values).items() if name not in {*spec.changeable, *files}}
    return {
        "trainer": settings.trainer.full_name,
        **{f"option {name}": value for name, value in options.items()},
        "files": named_files(values),
        "seed": settings.train.values.seed,
        "dtype": settings.train.values.dtype,
        "material": material,
        "weights": dict(weights),
    }


def read_training(folder: Path) -> dict[str, Any] | None:
    """The document of the training that `folder` holds, or None.

    Raises:
        InputError: There is one, but it cannot be read, or is of a schema this version does not know.
    """
    path = folder / TrainingRecord.FILE
    if not path.is_file():
        return None
    document = read_json(path, "a train.json")
    version = document.get("schema_version") if isinstance(document, Mapping) else None
    if version != SCHEMA_VERSION:
        raise InputError(f"{path} has schema version {version}; this animegen reads {SCHEMA_VERSION}.")
    return dict(document)


def _environment() -> dict[str, str]:
    found = environment()
    for name in ("accelerate", "safetensors"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
