"""``animegen data``: material for a training, made of the user's own videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.datasets.options import KIND, TABLE, DataOptions
from animegen.errors import UsageError
from animegen.options import describe_options
from animegen_cli import complete
from animegen_cli.console import Console
from animegen_cli.group import RUN_PREFIX, Command, pass_console
from animegen_cli.run_options import SOURCE, command_line_layer, declared_option

if TYPE_CHECKING:
    from animegen.datasets.documents import DataRecord
    from animegen.datasets.options import DataSettings
    from animegen.settings.layers import ConfigLayer

FILE = click.Path(path_type=Path)


class DataCommand(Command):
    """The command, whose declared options are about a dataset."""

    def _section(self, parameter: click.Parameter) -> str:
        return "How it is made" if str(parameter.name).startswith(RUN_PREFIX) else super()._section(parameter)


def _declared(command: Any) -> Any:
    for info in reversed(describe_options(DataOptions)):
        command = declared_option(info)(command)
    return command


@click.command(cls=DataCommand)
@click.argument("name", shell_complete=complete.suggests(lambda: complete.stages("dataset")))
@click.argument("material", type=FILE, nargs=-1, required=True)
@click.option("--out", type=FILE, required=True, help="Folder for the dataset; what is in it already is gone on with.")
@click.option("--force", is_flag=True, help="Begin anew: what an earlier run left in the folder is removed.")
@click.option("--dry-run", is_flag=True, help="Look at the material, check everything and say what would be done.")
@_declared
@click.option(
    "-o",
    "run_assignments",
    metavar="NAME.OPTION=VALUE",
    multiple=True,
    help="An option of the dataset; animegen plugins show NAME lists them.",
)
@pass_console
def data(
    console: Console, /, name: str, material: tuple[Path, ...], out: Path, force: bool, dry_run: bool, **values: Any
) -> None:
    """Make the dataset NAME of MATERIAL (videos, most often), for animegen train.

    animegen plugins list --kind dataset shows what can be made. However it ended, the same command goes on: nothing is
    worked out twice. The path of the table that a training reads goes to standard output, all else to standard error.
    """
    from animegen.datasets.making import Making
    from animegen.datasets.options import resolve_dataset
    from animegen.training.options import usual_layers
    from animegen_cli.environment import installed
    from animegen_cli.reporters import reporter_for
    from animegen_cli.results import say_plan

    registry, typed = installed(), command_line_layer(values, DataOptions, TABLE)
    settings = resolve_dataset(registry, name, usual_layers(registry, typed.tables, source=SOURCE))
    _refuse_idle(typed, settings)
    reporter = reporter_for(console)
    try:
        making = Making(settings, material, out, force=force, reporter=reporter)
        plan = making.plan()
        reporter.plan(plan)
        making.check()
        if dry_run:
            say_plan(console, str(out), plan)
            return
        record = making.run()
    finally:
        reporter.close()
    told = {text for _, text in plan}
    _say_result(console, out, record, [text for text in record.warnings if text not in told])


def _refuse_idle(typed: ConfigLayer, settings: DataSettings) -> None:
    for table, options in typed.tables.items():
        if table not in (TABLE, KIND, settings.maker.name):
            key = next(iter(options))
            raise UsageError(
                f"-o {table}.{key}={options[key]} has no effect: {settings.maker.name} is made here.",
                hint=f"its options: animegen plugins show {settings.maker.name}",
            )


def _say_result(console: Console, out: Path, record: DataRecord, notes: Sequence[str]) -> None:
    files = [str(out / name) for name in record.outputs]
    console.say("done", f"{files[0] if files else out}   {record.summary}")
    for path in files[1:]:
        console.say("", path)
    for message in notes:
        console.say("note", message)
    if record.use:
        console.say("use", f"animegen {record.use}")
    if console.json:
        facts = {"status": record.status, "folder": str(out), "files": files, "summary": record.summary}
        console.document({**facts, "facts": record.facts, "use": record.use, "data_json": str(out / record.FILE)})
    elif files:
        console.path(files[0])
