"""``animegen compare``: two systems on the same clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from animegen.errors import InputError
from animegen_cli.commands.evaluate import require_evaluation
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console

if TYPE_CHECKING:
    from animegen_eval.comparing import Side


@click.command(cls=Command)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--in", "folder", type=click.Path(path_type=Path), metavar="DIR", help="A and B are systems of this one.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="A metric or one of its quantities. [all]")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="As in the tables. [those that rank]")
@pass_console
def compare(
    console: Console, /, a: str, b: str, folder: Path | None, metrics: tuple[str, ...], variants: tuple[str, ...]
) -> None:
    """Say how B differs from A, paired by clip: difference, interval, p by sign flips, Holm, share improved.

    A and B are folders that animegen evaluate wrote (DIR, or DIR:SYSTEM where it has several), or with --in the names
    of two systems. Evaluations of different profiles are refused.
    """
    require_evaluation()
    from animegen_cli.evaluation_table import say_comparison
    from animegen_eval.comparing import compare_sides, open_side

    left, right = (open_side(folder, name) if folder is not None else _side(name) for name in (a, b))
    comparison = compare_sides(left, right, metrics, variants=variants)
    say_comparison(console, comparison, str(left), str(right))


def _side(text: str) -> Side:
    """``DIR`` or ``DIR:SYSTEM``."""
    from animegen_eval.comparing import open_side

    if Path(text).exists():
        return open_side(Path(text))
    folder, _, config = text.partition(":")
    if not Path(folder).exists():
        raise InputError(
            f"{folder} does not exist.",
            hint=(
                "animegen evaluate CLIPS... --out FOLDER makes an evaluation; A and B are FOLDER, or FOLDER:SYSTEM",
                "two systems of one evaluation: animegen compare A B --in FOLDER",
            ),
        )
    return open_side(Path(folder), config)
