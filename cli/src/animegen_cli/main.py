"""The program: global options, the table of commands, and the place where every error becomes a line and a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from animegen_cli.console import Console
from animegen_cli.failures import guarded
from animegen_cli.group import LazyGroup, common_options

COMMANDS = {
    "run": ("animegen_cli.commands.run:run", "Turn two panels into a clip."),
    "batch": ("animegen_cli.commands.batch:batch", "Turn many pairs of panels into clips."),
    "upsample": ("animegen_cli.commands.upsample:upsample", "Draw more frames between the frames of a video."),
    "data": ("animegen_cli.commands.data:data", "Make material for a training out of videos."),
    "train": ("animegen_cli.commands.train:train", "Train a model on material of your own."),
    "evaluate": (
        "animegen_cli.commands.evaluate:evaluate",
        "Measure clips, beside controls.",
    ),
    "ablate": (
        "animegen_cli.commands.ablate:ablate",
        "Every combination of stages over many pairs: what each one does.",
    ),
    "compare": ("animegen_cli.commands.compare:compare", "Hold two evaluations against each other, clip by clip."),
    "report": ("animegen_cli.commands.report:report", "A page of an ablation or an evaluation, with its clips."),
    "panels": ("animegen_cli.commands.panels:panels", "Cut pages into panels and pair them up."),
    "plugins": ("animegen_cli.commands.plugins:plugins", "List, show, check and start plugins."),
    "weights": ("animegen_cli.commands.weights:weights", "Fetch, verify and remove model files."),
    "doctor": ("animegen_cli.commands.doctor:doctor", "Say what is installed here and what would run."),
    "config": ("animegen_cli.commands.config:config", "Show settings with their sources; write a settings file."),
    "completion": ("animegen_cli.commands.completion:completion", "Print the script that completes this in a shell."),
}
"""Where each command is, and its line in ``animegen --help`` (so that help imports none of them)."""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    params=[
        click.Option(
            ["--config"],
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Settings file; the nearest animegen.toml otherwise.",
        ),
        click.Option(["--version"], is_flag=True, help="Show versions and exit."),
        *common_options(),
    ],
    invoke_without_command=True,
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None, version: bool) -> None:
    """Turn two manga panels into a short anime transition clip.

    Start with: animegen run FIRST LAST, or animegen run alone for the bundled sample.
    """
    if version:
        from importlib.metadata import version as version_of

        click.echo(f"animegen {version_of('animegen')} (command line {version_of('animegen-cli')})")
        ctx.exit()
    if config is not None:  # a variable, so that it holds for every process that is started
        os.environ["ANIMEGEN_CONFIG"] = str(config)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> int:
    """Run the program with `args` (those of the process by default) and give its exit code."""
    args = list(sys.argv[1:] if args is None else args)
    console = Console()
    return guarded(console, args, lambda: cli.main(args, prog_name="animegen", standalone_mode=False, obj=console))
