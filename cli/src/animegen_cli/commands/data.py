"""``animegen data``: material for a training, made of the user's own videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from animegen.datasets.options import DATA
from animegen_cli import complete
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console
from animegen_cli.long_work import say_work, show_plan, work_options, work_settings
from animegen_cli.run_options import FILE


@click.command(cls=Command, section="How it is made")
@click.argument("name", shell_complete=complete.suggests(lambda: complete.stages("dataset")))
@click.argument("material", type=FILE, nargs=-1, required=True)
@click.option("--out", type=FILE, required=True, help="Folder for the dataset; what is in it already is gone on with.")
@click.option("--force", is_flag=True, help="Begin anew: what an earlier run left in the folder is removed.")
@work_options(DATA)
@pass_console
def data(
    console: Console, /, name: str, material: tuple[Path, ...], out: Path, force: bool, dry_run: bool, **values: Any
) -> None:
    """Make the dataset NAME of MATERIAL (videos, most often), for animegen train.

    animegen plugins list --kind dataset shows what can be made. However it ended, the same command goes on: nothing is
    worked out twice. The path of the table that a training reads goes to standard output, all else to standard error.
    """
    from animegen.datasets.making import Making
    from animegen_cli.reporters import reporter_for

    settings = work_settings(DATA, name, values, done="made")
    reporter = reporter_for(console)
    try:
        making = Making(settings, material, out, force=force, reporter=reporter)
        plan = show_plan(console, reporter, making, out, dry_run=dry_run)
        if dry_run:
            return
        record = making.run()
    finally:
        reporter.close()
    told = {text for _, text in plan}
    notes = [text for text in record.warnings if text not in told]
    say_work(
        console, out, record, record.summary, facts={"summary": record.summary, "facts": record.facts}, notes=notes
    )
