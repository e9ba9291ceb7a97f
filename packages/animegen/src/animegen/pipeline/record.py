"""``run.json``: all that is needed to understand a run and to make it again."""

from __future__ import annotations

import json
import logging
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol

from animegen.documents import read_document
from animegen.errors import AnimeGenError, InterruptedRun, UsageError
from animegen.settings.layers import ConfigLayer
from animegen.settings.resolve import Settings
from animegen.settings.roles import Role

SCHEMA_VERSION = 1
FILE_NAME = "run.json"

Status = Literal["running", "done", "failed", "interrupted"]
Command = Literal["run", "upsample"]

log = logging.getLogger("animegen")


@dataclass
class StepRecord:
    """One stage at work on one pair.

    Attributes:
        cached: Whether every part of it had been made by an earlier run.
        input: Digests of what went in.
        output: Digests of what came out.
        seconds: Time spent here (near 0 where cached).
        peak_memory_mib: Highest memory of the process so far, MiB; None where the system does not say.
        info: Facts the step reports, e.g. the balloons found.
    """

    role: Role
    stage: str
    version: str
    options: dict[str, dict[str, Any]]
    weights: dict[str, str]
    devices: list[str]
    input: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    cached: bool = False
    seconds: float = 0.0
    peak_memory_mib: int | None = None
    info: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass
class RunRecord:
    """One pair, or one video, on its way to a clip.

    Attributes:
        id: Hash of the inputs and of everything that decides the result.
        inputs: Panels in order by the names of `animegen.pipeline.chain.panel_names`: ``{"first": {"path", "name",
            "sha256", "size", "text_boxes"}, "last": ...}``, or ``{"source": ...}`` of a video; paths absolute.
        settings: The tables that make the run again, as a configuration layer has them.
        run: The run's own options, each with its source.
        plan: What the program and the stages said before anything was loaded: the memory they take, by device.
        untrained: Full names of the stages that ran with random parameters.
        command: The command that makes it: ``run`` or ``upsample``.
        environment: Versions of everything that takes part.
        outputs: Files of the run's folder, relative to it.
    """

    id: str
    argv: list[str]
    inputs: dict[str, dict[str, Any]]
    settings: dict[str, dict[str, Any]]
    run: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    plan: list[dict[str, Any]] = field(default_factory=list)
    untrained: list[str] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    status: Status = "running"
    error: str | None = None
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: dict[str, str] = field(default_factory=lambda: environment())
    command: Command = "run"
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The text of run.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


class Ending(Protocol):
    """A record that tells how the work ended."""

    status: Status
    error: str | None


@contextmanager
def ending_kept(record: Ending, save: Callable[[], None], stopped: str, hint: str = "") -> Iterator[None]:
    """Whatever ends the block early is written into `record`; however it ends, `save` is called.

    Args:
        record: Its status is set, but for the end that was hoped for.
        save: Writes the record.
        stopped: What to say of Ctrl-C, where the work itself has nothing to say of it.
        hint: How to go on after it, where ``--resume`` is not how.

    Raises:
        InterruptedRun: For Ctrl-C.
    """
    try:
        yield
    except (KeyboardInterrupt, InterruptedRun) as error:
        record.status, record.error = "interrupted", str(error) or "stopped by the user"
        raise InterruptedRun(str(error) or stopped, hint=hint or getattr(error, "hints", ())) from None
    except Exception as error:
        record.status, record.error = "failed", str(error)
        if not isinstance(error, AnimeGenError):
            log.exception("bug")
        raise
    finally:
        try:
            save()
        except AnimeGenError as error:  # a full disk must not hide the error that brought us here
            log.error("%s", error)


def environment(*more: str) -> dict[str, str]:
    """Versions of Python, of the platform and of the libraries a result depends on; `more` of them where installed."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in (
        "animegen",
        "animegen-manga",
        "numpy",
        "opencv-python",
        "opencv-python-headless",
        "av",
        "torch",
        *more,
    ):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def settings_tables(settings: Settings) -> dict[str, dict[str, Any]]:
    """The tables that make `settings` again, every value written out."""
    run = {name: entry["value"] for name, entry in settings.run.as_record().items()}
    tables: dict[str, dict[str, Any]] = {"run": run}
    for role, choices in settings.choices.items():
        run[role] = [choice.stage.full_name for choice in choices] or "none"
        if role != "preprocessor" and choices:
            run[role] = choices[0].stage.full_name
        for choice in choices:
            values = {name: entry["value"] for name, entry in choice.options.as_record().items()}
            if len(choices) == 1:
                tables[role] = values
            else:
                tables[choice.stage.name] = values
    if not settings.choices["preprocessor"]:
        run["preprocessor"] = []
    return tables


def read_record(path: Path, *, command: Command | None = None) -> dict[str, Any]:
    """The document of a run.json (or of the run's folder that holds it).

    Args:
        path: The file or folder.
        command: The command that must have made it; None takes any.

    Raises:
        InputError: Absent, not JSON, or of a schema this version does not know.
        UsageError: It was made by another command.
    """
    path = path / FILE_NAME if path.is_dir() else path
    hint = "a run.json is read by the version of animegen that its environment names, and newer ones"
    document = read_document(path, "a run.json", SCHEMA_VERSION, hint)
    made_by = document.get("command", "run")
    if command not in (None, made_by):
        raise UsageError(f"{path} was made by animegen {made_by}.", hint=f"animegen {made_by} --from {path}")
    return document


def record_layer(document: Mapping[str, Any]) -> ConfigLayer:
    """The settings of a recorded run as a configuration layer."""
    return ConfigLayer("run.json", document["settings"])


def peak_memory_mib() -> int | None:
    """Highest resident memory of this process so far, MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024 if sys.platform == "darwin" else 1024)
