"""``animegen train``: a model learns from material of the user's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import StageError, UsageError
from animegen.options import describe_options
from animegen.training.options import KIND, TABLE, TrainOptions
from animegen_cli import complete
from animegen_cli.console import Console
from animegen_cli.group import RUN_PREFIX, Command, pass_console
from animegen_cli.run_options import SOURCE, command_line_layer, declared_option

if TYPE_CHECKING:
    from animegen.settings.layers import ConfigLayer
    from animegen.training.documents import TrainingRecord
    from animegen.training.options import TrainSettings

FILE = click.Path(path_type=Path)
RANK = "RANK"
"""Set by whatever started several processes for one training: which of them this is."""


class TrainCommand(Command):
    """The command, whose declared options are about a training."""

    def _section(self, parameter: click.Parameter) -> str:
        return "How it is trained" if str(parameter.name).startswith(RUN_PREFIX) else super()._section(parameter)


def _declared(command: Any) -> Any:
    for info in reversed(describe_options(TrainOptions)):
        command = declared_option(info)(command)
    return command


@click.command(cls=TrainCommand)
@click.argument("name", shell_complete=complete.suggests(lambda: complete.stages("trainer")))
@click.argument("material", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for what is learnt.")
@click.option("--resume", is_flag=True, help="Go on where an earlier training in that folder was stopped.")
@click.option("--force", is_flag=True, help="Begin anew, whatever the folder holds.")
@click.option("--dry-run", is_flag=True, help="Look at the material, check everything and say what would be done.")
@_declared
@click.option(
    "-o",
    "run_assignments",
    metavar="NAME.OPTION=VALUE",
    multiple=True,
    help="An option of the trainer; animegen plugins show NAME lists them.",
)
@pass_console
def train(
    console: Console,
    /,
    name: str,
    material: Path,
    out: Path,
    resume: bool,
    force: bool,
    dry_run: bool,
    **values: Any,
) -> None:
    """Train the model NAME on MATERIAL, and write what it learnt into a folder.

    animegen plugins list --kind trainer shows what can be trained. Ctrl-C saves; --resume goes on from there. The path
    of the file of learnt parameters goes to standard output, all else to standard error.
    """
    if resume and force:
        raise UsageError("--resume goes on with a training; --force begins anew.", hint="leave one of them out")
    from animegen.training.options import resolve_training, usual_layers
    from animegen.training.training import Training
    from animegen_cli.environment import installed
    from animegen_cli.reporters import reporter_for
    from animegen_cli.results import say_plan
    from animegen_cli.training_progress import TrainingProgress

    registry, typed = installed(), command_line_layer(values, TrainOptions, TABLE)
    settings = resolve_training(registry, name, usual_layers(registry, typed.tables, source=SOURCE))
    _refuse_idle(typed, settings)
    _quiet_beside(console)
    reporter = reporter_for(console)
    progress = TrainingProgress(console)
    try:
        training = Training(settings, material, out, resume=resume, force=force, reporter=reporter)
        plan = training.plan()
        reporter.plan(plan)
        training.check()
        if dry_run:
            say_plan(console, str(out), plan)
            return
        if len(settings.train.values.devices) > 1 and RANK not in os.environ and settings.spec.launch:
            _launch(settings, sys.argv[1:])
        record = training.run(progress)
    finally:
        progress.close()
        reporter.close()
    _say_result(console, out, record)


def _refuse_idle(typed: ConfigLayer, settings: TrainSettings) -> None:
    for table, options in typed.tables.items():
        if table not in (TABLE, KIND, settings.trainer.name):
            key = next(iter(options))
            raise UsageError(
                f"-o {table}.{key}={options[key]} has no effect: {settings.trainer.name} is trained here.",
                hint=f"its options: animegen plugins show {settings.trainer.name}",
            )


def _quiet_beside(console: Console) -> None:
    """Of several processes that share a training, only the first one speaks."""
    if os.environ.get(RANK, "0") != "0":
        console.quiet, console.json, console.progress = True, False, "none"


def _launch(settings: TrainSettings, args: Sequence[str]) -> None:
    """Become the program that starts a process for each device, each of which comes here again."""
    from importlib import import_module

    module, _, function = str(settings.spec.launch).partition(":")
    command = getattr(import_module(module), function)(settings.train.values.devices)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(command[0], [*command, "animegen_cli", *args])
    except OSError as error:
        raise StageError(f"{command[0]} could not be started: {error.strerror}.") from error


def _say_result(console: Console, out: Path, record: TrainingRecord) -> None:
    if os.environ.get(RANK, "0") != "0":
        return
    loss = "" if record.loss is None else f", loss {record.loss:.5f}"
    files = [str(out / name) for name in record.outputs]
    console.say("done", f"{files[0] if files else out}   {record.step:,} steps{loss}")
    for path in files[1:]:
        console.say("", path)
    if record.use:
        console.say("use", f"animegen run FIRST LAST {record.use}")
    if console.json:
        facts = {"status": record.status, "folder": str(out), "files": files, "step": record.step, "loss": record.loss}
        console.document({**facts, "use": record.use, "train_json": str(out / record.FILE)})
    elif files:
        console.path(files[0])
