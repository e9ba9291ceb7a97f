"""``animegen report``: a page of what was evaluated."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from animegen_cli.commands.evaluate import require_evaluation
from animegen_cli.console import Console, size
from animegen_cli.group import Command, pass_console


@click.command(cls=Command)
@click.argument("source", metavar="STUDY|EVALUATION", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the page. [SOURCE/report]")
@click.option("--title", metavar="TEXT", help="Of the page. [the name of the folder]")
@click.option("--open", "shown", is_flag=True, help="Show it in the browser.")
@pass_console
def report(console: Console, /, source: Path, out: Path | None, title: str | None, shown: bool) -> None:
    """Make one page of an ablation or an evaluation: findings, clips side by side, effects, controls, tables.

    The page opens offline and fetches nothing; its folder can be moved and sent as it is. Its path goes to standard
    output.
    """
    require_evaluation()
    from animegen_cli.reporters import reporter_for
    from animegen_eval.report.build import build_report

    built = build_report(source, out, title=title, argv=sys.argv, reporter=reporter_for(console))
    for text in built.findings:
        console.say("found", text)
    for text in built.lost:
        console.say("note", f"not shown: {text}")
    console.say(
        "done", f"{built.page}   {_count(built.pairs, 'pair')}, {_count(built.clips, 'clip')}, {size(built.bytes)}"
    )
    if console.json:
        facts = {"pairs": built.pairs, "clips": built.clips, "bytes": built.bytes}
        console.document(
            {"page": str(built.page), **facts, "findings": list(built.findings), "not_shown": list(built.lost)}
        )
    else:
        console.path(str(built.page))
    if shown:
        click.launch(built.page.resolve().as_uri())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
