"""``animegen train``: a model learns from material of the user's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import StageError, UsageError
from animegen.stages import TrainerSpec
from animegen.training.options import TRAIN
from animegen.training.processes import primary, shared
from animegen_cli import complete
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console
from animegen_cli.long_work import say_work, show_plan, work_options, work_settings
from animegen_cli.run_options import FILE

if TYPE_CHECKING:
    from animegen.training.training import TrainingRecord


@click.command(cls=Command, section="How it is trained")
@click.argument("name", shell_complete=complete.suggests(lambda: complete.stages("trainer")))
@click.argument("material", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for what is learnt.")
@click.option("--resume", is_flag=True, help="Go on where an earlier training in that folder was stopped.")
@click.option("--force", is_flag=True, help="Begin anew, whatever the folder holds.")
@work_options(TRAIN)
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
    from animegen.training.training import Training
    from animegen_cli.reporters import reporter_for
    from animegen_cli.training_progress import TrainingProgress

    settings = work_settings(TRAIN, name, values, done="trained")
    if not primary():  # of several processes that share a training, only the first one speaks
        console.quiet, console.json, console.progress = True, False, "none"
    reporter, progress = reporter_for(console), TrainingProgress(console)
    try:
        training = Training(settings, material, out, resume=resume, force=force, reporter=reporter)
        show_plan(console, reporter, training, out, dry_run=dry_run)
        if dry_run:
            return
        assert isinstance(settings.spec, TrainerSpec)
        if len(settings.devices) > 1 and settings.spec.launch and not shared():
            _launch(settings.spec.launch, settings.devices, sys.argv[1:])
        record = training.run(progress)
    finally:
        progress.close()
        reporter.close()
    if primary():
        _say_result(console, out, record)


def _launch(target: str, devices: Sequence[str], args: Sequence[str]) -> None:
    """Become the program that starts a process for each device, each of which comes here again."""
    from importlib import import_module

    module, _, function = target.partition(":")
    command = getattr(import_module(module), function)(devices)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(command[0], [*command, "animegen_cli", *args])
    except OSError as error:
        raise StageError(f"{command[0]} could not be started: {error.strerror}.") from error


def _say_result(console: Console, out: Path, record: TrainingRecord) -> None:
    loss = "" if record.loss is None else f", loss {record.loss:.5f}"
    facts = {"step": record.step, "loss": record.loss}
    say_work(console, out, record, f"{record.step:,} steps{loss}", facts=facts, used_by="run FIRST LAST ")
