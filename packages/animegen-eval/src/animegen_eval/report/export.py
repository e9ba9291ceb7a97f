"""Tables for papers and for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from animegen_eval.report.cells import Table


def as_markdown(table: Table) -> str:
    """A table for a paper: GitHub's form, best and not shown to differ from it in bold."""
    head = [_escaped(f"{column.name} {column.below}".strip()) for column in table.columns]
    lines = [head, ["---:" if column.numeric else ":---" for column in table.columns]]
    for row in table.rows:
        cells = []
        for cell in row:
            text = _escaped(cell.text)
            text = f"**{text}**" if "best" in cell.look.split() else text
            cells.append(f"{text} ({_escaped(cell.below)})" if cell.below else text)
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; nothing where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return buffer.getvalue()


def plain_csv(table: Table) -> str:
    """A table of the page as CSV, with full numbers in place of rounded ones."""
    header = [column.name for column in table.columns]
    return as_csv(header, ([cell.sort if cell.sort is not None else "" for cell in row] for row in table.rows))


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return escaped.replace("*", "\\*").replace("_", "\\_").replace("`", "\\`")
