"""``animegen doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console


@click.command(cls=Command)
@click.option("--devices", is_flag=True, help="Import torch, where it is, and list the devices it can use.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where results would go."
)
@pass_console
def doctor(console: Console, devices: bool, out: Path) -> None:
    """Say what is installed here and what would run. Exit code 3 when no run would work."""
    from animegen_cli.checkup import all_checks, versions

    found = []
    for check in all_checks(out, devices=devices):
        found.append(check)
        if not console.json:
            console.text(f"{check.name:<10}{'' if check.state == 'ok' else f'{check.state}: '}{check.text}")
            if check.hint:
                console.text(f"{'':<10}  hint: {check.hint}")
    works = all(check.state != "error" for check in found)
    if console.json:
        console.document({"works": works, "versions": versions(), "checks": [check.facts() for check in found]})
    if not works:
        raise click.exceptions.Exit(3)
