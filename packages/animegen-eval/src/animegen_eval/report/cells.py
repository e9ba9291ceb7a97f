"""Cells, columns and tables, and the cells that several tables have."""

from __future__ import annotations

from dataclasses import dataclass, field

from animegen_eval.report.analysis import Contest
from animegen_eval.report.material import Material
from animegen_eval.report.numbers import number

ARROWS = {"lower": "↓", "higher": "↑", "none": ""}


@dataclass(frozen=True)
class CellText:
    """A cell: what is read, what it sorts by (None last), what stands below it, how it looks."""

    text: str
    sort: float | str | None = None
    below: str = ""
    look: str = ""
    picture: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its name, what is below the name, whether it holds numbers, what is told about it."""

    name: str
    below: str = ""
    numeric: bool = True
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[CellText, ...], ...]
    looks: tuple[str, ...] = field(default=())


def names(config: str, control: bool, material: Material) -> tuple[CellText, ...]:
    first = CellText(config, config, below="control" if control else "")
    if material.ablation is None:
        return (first,)
    levels = material.ablation.cells.get(config, ("–",) * len(material.ablation.design.factors))
    return (first, *map(word, levels))


def name_columns(material: Material) -> tuple[Column, ...]:
    first = Column("system" if material.ablation is None else "configuration", numeric=False)
    factors = material.ablation.design.factors if material.ablation else ()
    return (first, *(Column(factor.name, numeric=False) for factor in factors))


def column_of(contest: Contest) -> Column:
    first = contest.first
    unit = f"{first.unit}, " if first.unit else ""
    if contest.disqualified:
        return Column(first.quantity, f"{unit}✗ won by {', '.join(first.beaten_by)}", note="disqualified for ranking")
    return Column(first.quantity, f"{unit}{ARROWS[first.better] or 'diagnostic'}")


def word(text: str) -> CellText:
    return CellText(text or "–", text)


def plain_number(count: int | None) -> CellText:
    return CellText(number(None) if count is None else str(count), count)
