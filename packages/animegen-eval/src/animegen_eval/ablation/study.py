"""A study's folder and its record: what was decided before anything ran, and how far it has come.

runs/ablation/
  study.json        rule, pairs and their digests, factors, settings, references, versions; written before anything runs
  clips/011/003-…/  one run's folder for every configuration and pair, as ``animegen run`` makes it
  items/            which clips are written
  failed.tsv        pairs that are left out of all configurations, with reasons; ``animegen ablate`` tries them again
  frames.parquet, clips.parquet (.csv), summary.json, analysis.json, table.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from animegen.atomic import write_bytes
from animegen.documents import read_json
from animegen.errors import InputError, ResourceError, UsageError
from animegen.pipeline.record import environment
from animegen.resumable.folder import alone
from animegen_eval.ablation.choice import TERMS

SCHEMA_VERSION = 1
FILE_NAME, CLIPS, ITEMS, FAILED = "study.json", "clips", "items", "failed.tsv"
_FIXED = {"choice": "pairs", "design": "factors", "settings": "settings", "references": "references"}
"""What may never change within a study, and what people call it."""


@dataclass
class Study:
    """A study.

    Attributes:
        folder: Where it lies.
        fixed: What was decided beforehand: choice, design, settings, references.
        facts: What has come since: versions of every session, failures, counts.
    """

    folder: Path
    fixed: Mapping[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self) -> None:
        """Write study.json whole."""
        document = {"schema_version": SCHEMA_VERSION, **self.fixed, **self.facts}
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_bytes(self.folder / FILE_NAME, text.encode())

    def clip(self, cell: str, number: int, pair: str) -> Path:
        """The folder of the run of a cell and the pair with that number in study.json."""
        return self.folder / CLIPS / cell / pair_folder(number, pair)


def pair_folder(number: int, pair: str) -> str:
    """A name that every file system takes, and that tells pairs apart whatever they are called."""
    slug = re.sub(r"[\W]+", "-", pair).strip("-")[:60].strip("-")
    return f"{number:03d}-{slug}" if slug else f"{number:03d}"


def read_study(folder: Path) -> Study:
    """The study that lies in a folder.

    Raises:
        InputError: There is none, or it is of a version that is not known here.
    """
    document = read_json(folder / FILE_NAME, "a study.json")
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        version = document.get("schema_version") if isinstance(document, dict) else None
        raise InputError(
            f"{folder / FILE_NAME} has schema version {version}; this animegen reads {SCHEMA_VERSION}.",
            hint="name another folder with --study",
        )
    fixed = {name: document[name] for name in _FIXED if name in document}
    if len(fixed) < len(_FIXED):
        raise InputError(f"{folder / FILE_NAME} is no record of a study.", hint="name another folder with --study")
    facts = {name: value for name, value in document.items() if name not in (*fixed, "schema_version")}
    return Study(folder, fixed, facts)


def begin(folder: Path, fixed: Mapping[str, Any]) -> Study:
    """A study, new or taken up again; its record is on disk before this returns.

    Raises:
        UsageError: The folder holds a study of something else; the message says what differs.
        InputError: Its record is broken.
        ResourceError: The folder cannot be written.
    """
    plain = json.loads(json.dumps(fixed))
    if (folder / FILE_NAME).exists():
        study = read_study(folder)
        known = {**study.fixed, "choice": _mended(study, plain["choice"])}
        different = [word for name, word in _FIXED.items() if known[name] != plain[name]]
        if different:
            raise UsageError(
                f"{folder} holds a study of other {' and '.join(different)}.",
                hint=f"give this one a name of its own: --study NAME; {folder / FILE_NAME} tells what that one is",
            )
        study.fixed = plain
    else:
        study = Study(folder, plain, {"created": _now(), "sessions": []})
    here = environment()
    sessions = study.facts.setdefault("sessions", [])
    if not sessions or sessions[-1]["environment"] != here:
        sessions.append({"begun": _now(), "environment": here})
    study.save()
    return study


def _mended(study: Study, now: Mapping[str, Any]) -> dict[str, Any]:
    """The choice of a study, with what may differ as it is now: files of pairs that failed, and terms of all."""
    failed = {failure["id"] for failure in study.facts.get("failed", ())}
    of_now = {pair["id"]: pair for pair in now["pairs"]}
    pairs = []
    for pair in study.fixed["choice"]["pairs"]:
        here = of_now.get(pair["id"], pair)
        again = pair["id"] in failed or None in pair["sha256"].values()
        pairs.append(
            {name: value for name, value in pair.items() if name not in TERMS}
            | {name: here[name] for name in TERMS if name in here}
            | ({"sha256": here["sha256"]} if again else {})
        )
    return {**study.fixed["choice"], "pairs": pairs}


def locked(folder: Path) -> AbstractContextManager[None]:
    """As long as the block runs, no other process works on the study. A killed one leaves nothing behind.

    Raises:
        ResourceError: Another one is at work, or the folder cannot be written.
    """
    busy = ResourceError(
        f"another process is at work on {folder}.",
        hint="wait for it, or give this study a name of its own: --study NAME; results are shared either way",
    )
    return alone(folder, busy)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
