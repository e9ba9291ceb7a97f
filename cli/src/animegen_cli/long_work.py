"""What ``animegen data`` and ``animegen train`` have in common: flags, settings, plan, and what is said at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from animegen.errors import UsageError
from animegen.options import describe_options
from animegen.resumable.settings import OwnOptions, WorkKind, WorkSettings
from animegen_cli.console import Console
from animegen_cli.run_options import SOURCE, command_line_layer, declared_option, idle_options

if TYPE_CHECKING:
    from animegen.pipeline.progress import Reporter
    from animegen.resumable.record import WorkRecord

Own = TypeVar("Own", bound=OwnOptions)
F = TypeVar("F", bound=Callable[..., Any])


class Planned(Protocol):
    """Work that says what it would do."""

    def plan(self) -> list[tuple[str, str]]: ...
    def check(self) -> None: ...


def work_options(kind: WorkKind[Any]) -> Callable[[F], F]:
    """Give a command ``--dry-run``, every option that `kind` declares, and ``-o``."""
    shared: list[Callable[[Any], Any]] = [
        click.option(
            "--dry-run", is_flag=True, help="Look at the material, check everything and say what would be done."
        ),
        *map(declared_option, describe_options(kind.options)),
        click.option(
            "-o",
            "run_assignments",
            metavar="NAME.OPTION=VALUE",
            multiple=True,
            help=f"An option of the {kind.stage}; animegen plugins show NAME lists them.",
        ),
    ]

    def add(command: F) -> F:
        for option in reversed(shared):
            command = option(command)
        return command

    return add


def work_settings(kind: WorkKind[Own], name: str, values: Mapping[str, Any], *, done: str) -> WorkSettings[Own]:
    """The settings of a command made with `work_options`.

    Args:
        kind: The command.
        name: What does the work.
        values: The parameters of the command.
        done: What becomes of NAME, in a word: ``made``.

    Raises:
        UsageError: A wrong name or value, or an option of something else.
    """
    from animegen.resumable.settings import resolve_work
    from animegen.settings.resolve import layers_here
    from animegen_cli.environment import installed

    registry, typed = installed(), command_line_layer(values, kind.options, kind.command)
    settings = resolve_work(kind, registry, name, layers_here(registry, typed.tables, source=SOURCE))
    stage = settings.stage.name
    for _, told in idle_options(typed, (kind.command, kind.stage, stage)):
        raise UsageError(f"{told}: {stage} is {done} here.", hint=f"its options: animegen plugins show {stage}")
    return settings


def show_plan(
    console: Console, reporter: Reporter, work: Planned, out: Path, *, dry_run: bool
) -> list[tuple[str, str]]:
    """Tell the plan, refuse what cannot go well, and end a dry run.

    Returns:
        The lines of the plan.
    """
    from animegen_cli.results import say_plan

    plan = work.plan()
    reporter.plan(plan)
    work.check()
    if dry_run:
        say_plan(console, str(out), plan)
    return plan


def say_work(
    console: Console,
    out: Path,
    record: WorkRecord,
    summary: str,
    *,
    facts: Mapping[str, Any],
    notes: Sequence[str] = (),
    used_by: str = "",
) -> None:
    """What was made and how to use it.

    Args:
        console: Where it is said.
        out: The folder.
        record: Of the work.
        summary: How much was made.
        facts: What the document of ``--json`` holds of this kind of work.
        notes: What the user should know and has not been told yet.
        used_by: The command that the record's `use` is typed after, where it names none.
    """
    files = [str(out / name) for name in record.outputs]
    console.say("done", f"{files[0] if files else out}   {summary}")
    for path in files[1:]:
        console.say("", path)
    for message in notes:
        console.say("note", message)
    if record.use:
        console.say("use", f"animegen {used_by}{record.use}")
    if console.json:
        command = record.kind.command
        told = {"status": record.status, "folder": str(out), "files": files, **facts, "use": record.use}
        console.document({**told, f"{command}_json": str(out / record.kind.file)})
    elif files:
        console.path(files[0])
