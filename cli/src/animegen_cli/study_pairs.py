"""Pairs that a study could take: from a table, a folder, what ``animegen panels`` left, or a Manga109 folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import InputError
from animegen_cli.pair_lists import read_pairs

if TYPE_CHECKING:
    from animegen_cli.reporters import NotesReporter
    from animegen_eval.ablation.choice import Candidate, Rule

_TABLE, _PANELS = "pairs.tsv", "panels.json"


def candidates(source: Path, rule: Rule, cut: Path, *, dry_run: bool, reporter: NotesReporter) -> list[Candidate]:
    """The pairs of `source`, each with its title where that is known.

    Args:
        source: A table, a folder of pictures, a folder that ``animegen panels`` wrote, or a Manga109 folder.
        rule: Says which titles of a Manga109 folder are read.
        cut: Where the panels of a Manga109 folder go.
        dry_run: Write nothing: panels of a Manga109 folder must have been cut.
        reporter: Told of pages that are cut.

    Raises:
        InputError: It cannot be read, or holds no pairs.
        UsageError: A line of a table is not a pair.
    """
    from animegen_eval.ablation.choice import Candidate
    from animegen_manga.manga109 import is_manga109

    if source.is_dir() and is_manga109(source):
        source = _cut(source, rule, cut, dry_run=dry_run, reporter=reporter)
    elif (source / _TABLE).is_file():
        source = source / _TABLE
    titles = _titles_beside(source)
    return [Candidate(**{**vars(item), "title": item.title or titles.get(item.id, "")}) for item in read_pairs(source)]


def _cut(root: Path, rule: Rule, out: Path, *, dry_run: bool, reporter: NotesReporter) -> Path:
    """Cut the titles that the rule takes, and no other, into panels; pages that were cut before are not read again."""
    from animegen_eval.ablation.choice import rank
    from animegen_manga.extract import ExtractOptions, extract_panels
    from animegen_manga.manga109 import Manga109
    from animegen_manga.pages import open_pages

    titles = sorted(Manga109(root).titles, key=lambda title: rank(rule.seed, title))[: rule.titles]
    if dry_run:
        if not (out / _TABLE).is_file():
            raise InputError(
                f"the pages of {', '.join(titles)} are not cut into panels yet, so no pair is known.",
                hint="without --dry-run they are cut first; or: animegen panels",
            )
        return out / _TABLE
    reporter.started(1, 1, "panels", f"{len(titles)} titles")
    extract_panels(
        open_pages(root, titles=titles),
        out,
        options=ExtractOptions(overlays=False),
        progress=reporter.counted,
    )
    return out / _TABLE


def _titles_beside(table: Path) -> dict[str, str]:
    """Title of each pair of a table that ``animegen panels`` wrote, from the record beside it; empty for any other."""
    try:
        document = json.loads(table.with_name(_PANELS).read_text("utf-8"))
        of_panel = {panel["file"]: page["title"] for page in document["pages"] for panel in page["panels"]}
        return {pair["id"]: of_panel[pair["first"]] for pair in document["pairs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
