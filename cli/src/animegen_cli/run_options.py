"""Options that a dataclass declares as flags, and the layer of settings that they make.

A run's come from `animegen.settings.resolve.RunOptions`, an upsampling's from `animegen.film.options.UpsampleOptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from animegen.errors import UsageError
from animegen.options import OptionInfo, describe_options
from animegen.settings.layers import ConfigLayer, assignments_layer
from animegen.settings.resolve import Choice, RunOptions
from animegen.settings.roles import ROLE_KINDS, ROLES
from animegen.stages import Kind
from animegen_cli import complete
from animegen_cli.group import RUN_PREFIX

SOURCE = "command line"
FILE = click.Path(path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """Give a command every option of a run, and ``-o``, ``--recipe``, ``--out``, ``--force``."""
    recipe = click.option(
        "--recipe",
        "run_recipe",
        metavar="NAME",
        shell_complete=complete.suggests(complete.recipes),
        help="Named settings, or a .toml file; the best one that works here otherwise.",
    )
    return _with(command, RunOptions, {}, [recipe])


def options_of(cls: type[Any], also: Mapping[str, Sequence[str]] | None = None) -> Callable[[F], F]:
    """Give a command every option that `cls` declares, and ``-o``, ``--out``, ``--force``.

    Args:
        cls: A dataclass of options.
        also: Further flags of an option, by its name; the first one is shown first.
    """
    return lambda command: _with(command, cls, also or {}, [])


def _with(command: F, cls: type[Any], also: Mapping[str, Sequence[str]], more: Sequence[Callable[[F], F]]) -> F:
    declared = [declared_option(info, also.get(info.name, ())) for info in describe_options(cls)]
    shared: list[Callable[[Any], Any]] = [
        click.option(
            "--out",
            type=FILE,
            default=Path("runs"),
            show_default=True,
            help="Folder of all runs.",
        ),
        click.option("--force", is_flag=True, help="Make everything anew, whatever earlier runs left."),
        *more,
        *declared,
        click.option(
            "-o",
            "run_assignments",
            metavar="KIND.OPTION=VALUE",
            multiple=True,
            shell_complete=complete.suggests(complete.assignments),
            help="An option of a stage, by kind or by name; animegen plugins show NAME lists them.",
        ),
    ]
    for add in reversed(shared):
        command = add(command)
    return command


def declared_option(info: OptionInfo, also: Sequence[str] = ()) -> Callable[[F], F]:
    """A flag for a declared option; its parameter's name has `RUN_PREFIX` in front. Not typed, it gives None."""
    flag = info.name.replace("_", "-")
    words = info.help if info.default in (None, (), "") else f"{info.help} [{_words(info.default)}]"
    if info.type is bool:  # None where it is not typed, so that a weaker layer may say it
        return click.option(f"--{flag}/--no-{flag}", f"{RUN_PREFIX}{info.name}", default=None, help=words)
    flags = [*also, f"--{flag}"]
    kwargs: dict[str, Any] = {"metavar": _metavar(info), "help": words, "multiple": info.many}
    if info.name in ROLES:
        kind = ROLE_KINDS[info.name]
        kwargs["shell_complete"] = complete.suggests(lambda: _stages_and_none(kind), many=info.many)
    elif info.choices:
        choices = [(str(choice), "") for choice in info.choices]
        kwargs["shell_complete"] = complete.suggests(lambda: choices, many=info.many)
    return click.option(*flags, f"{RUN_PREFIX}{info.name}", **kwargs)


def _stages_and_none(kind: Kind) -> list[tuple[str, str]]:
    return [*complete.stages(kind), ("none", "leave this out")]


def _words(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _metavar(info: OptionInfo) -> str:
    if info.name in ROLES:
        return "STAGE,..." if info.many else "STAGE"
    if info.choices:
        return "|".join(map(str, info.choices)) + (",..." if info.many else "")
    name = {int: "N", float: "X", str: "TEXT"}.get(info.type, info.type.__name__.upper())
    return f"{name},..." if info.many else name


def command_line_layer(values: Mapping[str, Any], cls: type[Any] = RunOptions, table: str = "run") -> ConfigLayer:
    """What was typed, and nothing else, as the strongest layer of settings.

    Args:
        values: The parameters of a command made with `run_options`, `options_of` or `work_options`; those with a value
            are taken.
        cls: The dataclass whose options they are.
        table: The table that they belong to.
    """
    tables = {name: dict(table) for name, table in assignments_layer(values["run_assignments"], SOURCE).tables.items()}
    typed: dict[str, Any] = {}
    for info in describe_options(cls):
        value = values[f"{RUN_PREFIX}{info.name}"]
        if value is None or value == ():
            continue
        typed[info.name] = _joined(value) if info.many else value
    if typed:
        tables[table] = {**tables.get(table, {}), **typed}
    return ConfigLayer(SOURCE, tables)


def _joined(parts: Sequence[str]) -> list[str]:
    """``--format mp4 --format gif`` and ``--format mp4,gif`` are the same; ``none`` is no entry."""
    split = [part.strip() for text in parts for part in text.split(",")]
    return [part for part in split if part not in ("", "none")]


def idle_options(layer: ConfigLayer, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each table of `layer` that is not `known`, with the words that say so of its first option."""
    for name, options in layer.tables.items():
        if name not in known:
            key = next(iter(options))
            yield name, f"-o {name}.{key}={options[key]} has no effect"


def refuse_idle(layer: ConfigLayer, taking_part: Sequence[Choice], table: str = "run") -> None:
    """Refuse an option for a stage that takes no part: a typing mistake that would otherwise change nothing.

    A settings file may well speak of stages that this run does not use; a command line would not.

    Args:
        layer: What was typed.
        taking_part: The stages of the run.
        table: The table of the command's own options.

    Raises:
        UsageError: With the stages that do take part.
    """
    active = {choice.stage.name: choice.role for choice in taking_part}
    for name, told in idle_options(layer, (table, *active, *active.values())):
        raise UsageError(
            f"{told}: no {name} takes part in this run.",
            hint=f"taking part: {', '.join(f'{name} ({role})' for name, role in active.items())}",
        )
