"""``animegen panels``: pages to panels and pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import InputError, PartialError, UsageError
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console

if TYPE_CHECKING:
    from animegen_manga.extract import ExtractSummary
    from animegen_manga.pages import PageSource

_NAMES_SHOWN = 6


@click.command(cls=Command)
@click.argument("pages", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PAGE...")
@click.option("--out", type=click.Path(path_type=Path), default=Path("panels"), show_default=True, help="Where to.")
@click.option(
    "--direction",
    type=click.Choice(("rtl", "ltr")),
    help="Reading direction; what the source says otherwise, or right to left.",
)
@click.option("--title", "titles", multiple=True, help="Of a Manga109 folder, only this title; may be repeated.")
@click.option(
    "--pages", "numbers", metavar="3-10,12", help="Only these of each title, from 1 (Manga109: the file's number)."
)
@click.option("--annotations", default="annotations", help="Of a Manga109 folder, the folder of annotations.")
@click.option("--detect", is_flag=True, help="Find panels on annotated pages too.")
@click.option("--overlay/--no-overlay", default=True, help="Pictures of the pages with what was found. [on]")
@click.option("--overrides", type=click.Path(path_type=Path), help="TOML file with corrections of the reading order.")
@click.option("--per-title", type=click.IntRange(min=1), metavar="N", help="Draw N pairs of each title; all otherwise.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.0, help="Smallest score of a pair. [0]")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the draw. [0]")
@click.option("--skip-first", type=click.IntRange(min=0), default=4, help="First pages of a title without pairs. [4]")
@click.option("--skip-last", type=click.IntRange(min=0), default=2, help="Last pages of a title without pairs. [2]")
@click.option(
    "--max-pixels", type=click.IntRange(min=1), default=100_000_000, help="Largest page that is read. [100000000]"
)
@click.option("--force", is_flag=True, help="Make pages anew that an earlier run has finished.")
@pass_console
def panels(
    console: Console,
    /,
    pages: tuple[Path, ...],
    out: Path,
    direction: Any,
    titles: tuple[str, ...],
    numbers: str | None,
    annotations: str,
    detect: bool,
    overlay: bool,
    overrides: Path | None,
    per_title: int | None,
    threshold: float,
    seed: int,
    skip_first: int,
    skip_last: int,
    max_pixels: int,
    force: bool,
) -> None:
    """Cut pages into panels, in reading order, and pair panels that follow each other.

    A PAGE is a picture, a folder, a CBZ, ZIP or PDF file, or a folder laid out as Manga109. The table of pairs
    goes to animegen batch; its path goes to standard output. Exit code 6 when some pages could not be read.
    """
    from animegen_cli.reporters import reporter_for
    from animegen_manga.extract import ExtractOptions, extract_panels
    from animegen_manga.overrides import read_overrides
    from animegen_manga.pages import open_pages

    wanted = _wanted(numbers)
    sources = open_pages(pages, titles=titles, annotations=annotations, max_pixels=max_pixels)
    options = ExtractOptions(
        direction=direction,
        annotated=not detect,
        overlays=overlay,
        per_title=per_title,
        threshold=threshold,
        seed=seed,
        skip_first=skip_first,
        skip_last=skip_last,
    )
    reporter = reporter_for(console)
    reporter.started(1, 1, "panels", f"{len(pages)} {'source' if len(pages) == 1 else 'sources'}")
    try:
        summary = extract_panels(
            _only(sources, wanted),
            out,
            options=options,
            overrides=read_overrides(overrides) if overrides else None,
            force=force,
            progress=lambda done, name: reporter.counted(done, name),
        )
    finally:
        reporter.close()
    if not summary.pages and not summary.failed:
        raise InputError("no page was chosen.", hint="--title and --pages leave none; without them all are read")
    _tell(console, summary)


def _wanted(text: str | None) -> Callable[[int], bool]:
    """Whether a number is among ``3-10,12``."""
    if text is None:
        return lambda number: True
    ranges = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise UsageError(f"--pages {text} is no list of numbers.", hint="for example: --pages 3-10,12")
        ranges.append(range(int(low), int(high if dash else low) + 1))
    return lambda number: any(number in one for one in ranges)


def _only(sources: Iterable[PageSource], wanted: Callable[[int], bool]) -> Iterator[PageSource]:
    for source in sources:
        number = source.index if source.book is not None else source.index + 1
        if wanted(number):
            yield source


def _tell(console: Console, summary: ExtractSummary) -> None:
    table = summary.out / "pairs.tsv"
    made = f" ({summary.reused} made before)" if summary.reused else ""
    rejected = f", {summary.rejected} rejected" if summary.rejected else ""
    console.say("done", f"{summary.pages} pages{made}, {summary.panels} panels, {summary.pairs} pairs{rejected}")
    for names, what in (
        (summary.uncertain, "reading order is uncertain"),
        (summary.whole, "no panel found, kept whole"),
    ):
        if names:
            more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            console.say("note", f"{what}: {', '.join(names[:_NAMES_SHOWN])}{more}")
    for name, reason in summary.failed:
        console.say("failed", f"{name}: {reason}")
    if summary.pairs:
        console.say("next", f"animegen batch {table}")
    else:
        console.say("table", str(table))
    if console.json:
        console.document(
            {
                "status": "partial" if summary.failed else "done",
                "pairs_tsv": str(table),
                "panels_json": str(summary.out / "panels.json"),
                "pages": summary.pages,
                "panels": summary.panels,
                "pairs": summary.pairs,
                "rejected": summary.rejected,
                "reused": summary.reused,
                "uncertain": list(summary.uncertain),
                "whole": list(summary.whole),
                "failed": [{"name": name, "reason": reason} for name, reason in summary.failed],
            }
        )
    else:
        console.path(str(table))
    if summary.failed and not summary.pages:
        raise InputError("no page could be read.")
    if summary.failed:
        raise PartialError(f"{len(summary.failed)} of {summary.pages + len(summary.failed)} pages could not be read.")
