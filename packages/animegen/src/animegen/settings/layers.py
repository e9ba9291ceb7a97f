"""Where settings come from: recipes, ``animegen.toml``, the environment and the command line, as one kind of layer.

Every layer holds tables as a TOML file does: ``[run]`` for the run's own options, a role (``[interpolator]``) or
a stage name (``[flow]``) for a stage's options, ``[plugins]`` for the program itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animegen.errors import InputError, UsageError, did_you_mean

FILE_NAME = "animegen.toml"

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ConfigLayer:
    """Tables from one place.

    Attributes:
        source: The place in words, kept beside every value: ``animegen.toml``, ``command line``.
        tables: Options by table name.
    """

    source: str
    tables: Tables = field(default_factory=dict)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: The file is absent or cannot be read.
        UsageError: It is not TOML; the message has line and column.
    """
    import tomllib  # here, as are other slow imports that listing plugins does without

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", hint="animegen config schema") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def as_layer(source: str, document: Mapping[str, Any]) -> ConfigLayer:
    """A layer of a parsed TOML document.

    Raises:
        UsageError: A value stands outside any table.
    """
    for name, value in document.items():
        if not isinstance(value, Mapping):
            raise UsageError(
                f"{name} = {value!r} (in {source}) stands outside any table.",
                hint="put it below a line [run], or below the name of the stage it is for",
            )
    return ConfigLayer(source, {name: dict(table) for name, table in document.items()})


def find_file(start: Path | None = None) -> Path | None:
    """The nearest ``animegen.toml`` in `start` or above it; ``ANIMEGEN_CONFIG`` names one outright."""
    if named := os.environ.get("ANIMEGEN_CONFIG"):
        return Path(named)
    start = (start or Path.cwd()).absolute()
    return next((path for folder in (start, *start.parents) if (path := folder / FILE_NAME).is_file()), None)


def file_layer(path: Path | None = None) -> ConfigLayer | None:
    """The layer of a configuration file: the one given, else the nearest; None where there is none."""
    path = path or find_file()
    return None if path is None else as_layer(path.name, read_toml(path))


def plugins_off(layer: ConfigLayer | None) -> tuple[str, ...]:
    """The plugins that ``[plugins] off`` of a configuration file leaves out.

    Raises:
        UsageError: The table holds anything else.
    """
    table = layer.tables.get("plugins", {}) if layer else {}
    off = table.get("off", [])
    unknown = next((key for key in table if key != "off"), None)
    if unknown is not None or not isinstance(off, list) or not all(isinstance(name, str) for name in off):
        assert layer is not None
        name = unknown or "off"
        what = "is no option" if unknown else f"is {off!r}, which is no list of names"
        raise UsageError(
            f"plugins.{name} (from {layer.source}) {what}.",
            hint=f'{did_you_mean(name, ["off"]) if unknown else ""}for example: [plugins] off = ["rife"]',
        )
    return tuple(off)


def environment_layer(names: Iterable[str], environ: Mapping[str, str] | None = None) -> ConfigLayer:
    """The layer of variables ``ANIMEGEN_TABLE_OPTION``, e.g. ``ANIMEGEN_RUN_SEED=7``.

    Args:
        names: Names of tables to look for (``run``, roles, stage names).
    """
    environ = os.environ if environ is None else environ
    prefixes = {f"ANIMEGEN_{name.upper().replace('-', '_')}_": name for name in names}
    tables: dict[str, dict[str, Any]] = {}
    for variable, value in environ.items():
        fitting = [prefix for prefix in prefixes if variable.startswith(prefix)]
        if fitting:
            prefix = max(fitting, key=len)
            tables.setdefault(prefixes[prefix], {})[variable[len(prefix) :].lower()] = value
    return ConfigLayer("environment", tables)


def assignments_layer(assignments: Sequence[str], source: str = "command line") -> ConfigLayer:
    """The layer of ``TABLE.OPTION=VALUE`` texts, as ``-o`` takes them.

    Raises:
        UsageError: A text has no table, no option or no ``=``.
    """
    tables: dict[str, dict[str, Any]] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        table, dot, key = name.strip().rpartition(".")
        if not (equals and dot and table and key):
            raise UsageError(f"-o {text} is not KIND.OPTION=VALUE.", hint="for example: -o interpolator.scale=0.5")
        tables.setdefault(table, {})[key] = value.strip()
    return ConfigLayer(source, tables)


def check_tables(layer: ConfigLayer, known: Iterable[str]) -> None:
    """Refuse a table nobody would read. Raises UsageError with a near match."""
    known = sorted(known)
    for name in layer.tables:
        if name not in known:
            raise UsageError(
                f"[{name}] (from {layer.source}) is neither a part of a run nor an installed stage.",
                hint=f"{did_you_mean(name, known)}Known: {', '.join(known)}.",
            )
