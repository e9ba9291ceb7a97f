"""Groups that import a command when it is called, and the options that every command takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from animegen.errors import UsageError, did_you_mean
from animegen_cli.console import PROGRESS, Console

RUN_PREFIX = "run_"
"""In front of the parameter names of a run's own options, so that they cannot meet a command's own."""

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(click.Command):
    """A command that also takes ``--json``, ``-q``, ``-v``, ``--progress`` and ``--offline``, as the program does.

    Args:
        section: What declared options are about, as a heading.
    """

    def __init__(self, *args: Any, section: str = "How the clip is made", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._declared = section
        self.params += common_options()
        self._common = {parameter.name for parameter in common_options()}
        self.context_settings = {**CONTEXT, **self.context_settings}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, in sections: a command's own options, those of a run, those of every command."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if row:
                sections.setdefault(self._section(parameter), []).append(row)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def _section(self, parameter: click.Parameter) -> str:
        name = str(parameter.name)
        if name in self._common or "--help" in parameter.opts:
            return "Options of every command"
        return self._declared if name.startswith(RUN_PREFIX) else "Options"


class Group(click.Group):
    """A group whose unknown commands are answered with the nearest known one."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_settings = {**CONTEXT, **self.context_settings}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the code, which is the order of use

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise UsageError(
                f"no command of {ctx.command_path} is named {args[0]!r}.",
                hint=f"{did_you_mean(args[0], known)}Known: {', '.join(known)}.",
            )
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group that knows its commands by import string and one-line help.

    Args:
        lazy: ``{name: ("module:attribute", "What it does.")}``.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, without importing every command for its first line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


def common_options() -> list[click.Option]:
    """The options that may stand before or after the command's name; they change the `Console`."""
    return [
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_changes(_set_json),
            help="One JSON document on standard output.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_changes(_set_quiet),
            help="Say nothing but errors and the result.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_changes(_set_verbose),
            help="Say everything, as log.txt does.",
        ),
        click.Option(
            ["--progress"],
            type=click.Choice(PROGRESS),
            expose_value=False,
            callback=_changes(_set_progress),
            help="How progress is shown; auto is a bar on a terminal and plain lines elsewhere.",
        ),
        click.Option(
            ["--offline"],
            is_flag=True,
            expose_value=False,
            callback=_changes(_set_offline),
            help="Never use the network.",
        ),
    ]


def _changes(change: Callable[[Console, Any], None]) -> Callable[..., None]:
    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value and not ctx.resilient_parsing:
            change(ctx.ensure_object(Console), value)

    return callback


def _set_json(console: Console, _: bool) -> None:
    console.json = True


def _set_quiet(console: Console, _: bool) -> None:
    console.quiet = True


def _set_verbose(console: Console, _: bool) -> None:
    console.be_verbose()


def _set_progress(console: Console, value: str) -> None:
    console.progress = value


def _set_offline(_: Console, __: bool) -> None:
    os.environ["ANIMEGEN_OFFLINE"] = "1"  # a variable, so that it holds for every process that is started


pass_console = click.make_pass_decorator(Console, ensure=True)
"""Hands a command the `Console` as its first argument."""
