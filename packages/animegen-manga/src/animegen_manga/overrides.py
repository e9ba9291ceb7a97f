"""Corrections of the reading order, title by title, in a TOML file that a reader of the book writes.

["Some title"]
direction = "ltr"          # rtl where nothing is said and the source says nothing
columns = 4                # read each image as so many equal columns (four-panel strips on a double page)
spread = false             # whether an image is a double page, where its shape misleads
[ "Some title".pages ]
12 = [3, 1, 2]             # the panels of page 12: their numbers in the order found, or the ids of frames
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from animegen.errors import InputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from animegen_manga.annotation import Direction


@dataclass(frozen=True)
class TitleOverride:
    """What is said of one title.

    Attributes:
        direction: Reading direction, or None.
        columns: Equal columns each image is read in; 0 for none.
        spread: Whether an image is a double page; None: judged by its shape.
        pages: Order of single pages by index: numbers from 1 in the order found, or ids of frames.
    """

    direction: Direction | None = None
    columns: int = 0
    spread: bool | None = None
    pages: Mapping[int, tuple[int | str, ...]] = field(default_factory=dict)


def read_overrides(path: Path) -> dict[str, TitleOverride]:
    """Read an override file.

    Raises:
        InputError: It cannot be read or is no TOML.
        UsageError: It says something that is not understood.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    return {title: _title(path, title, table) for title, table in data.items()}


def apply_override(found: list[int], wanted: tuple[int | str, ...], ids: list[str], where: str) -> list[int]:
    """`found` (positions in reading order) put into the order that an override gives.

    Args:
        found: Positions of the panels, in the order found.
        wanted: Numbers from 1 in that order, or ids.
        ids: Id of each panel by position; empty where panels have none.
        where: What the override is for, for messages.

    Raises:
        UsageError: It does not name each panel exactly once.
    """
    positions = []
    for entry in wanted:
        if isinstance(entry, str):
            known = [i for i in found if i < len(ids) and ids[i] == entry]
        else:
            known = found[entry - 1 : entry] if entry >= 1 else []
        positions += known
    if sorted(positions) != sorted(found) or len(wanted) != len(found):
        raise UsageError(
            f"the order given for {where} is {list(wanted)}, but there are {len(found)} panels.",
            hint=f"name each once: the numbers 1 to {len(found)}, or the ids of the frames.",
        )
    return positions


def _title(path: Path, title: str, table: Any) -> TitleOverride:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {title!r} is not a table.")
    known = ("direction", "columns", "spread", "pages")
    for key in table:
        if key not in known:
            raise UsageError(
                f"{path}: {title!r} has an unknown entry {key!r}.",
                hint=f"{did_you_mean(key, known)}known: {', '.join(known)}",
            )
    direction, columns, spread = table.get("direction"), table.get("columns", 0), table.get("spread")
    if direction not in (None, "rtl", "ltr"):
        raise UsageError(f"{path}: the direction of {title!r} is {direction!r}; it is rtl or ltr.")
    if not isinstance(columns, int) or not 0 <= columns <= 8:
        raise UsageError(f"{path}: the columns of {title!r} are {columns!r}; 0 to 8 are possible.")
    if spread not in (None, True, False):
        raise UsageError(f"{path}: spread of {title!r} is {spread!r}; it is true or false.")
    pages: dict[int, tuple[int | str, ...]] = {}
    for index, order in (table.get("pages") or {}).items():
        fine = isinstance(order, list) and all(isinstance(v, (int, str)) for v in order)
        if not str(index).isdecimal() or not fine:
            raise UsageError(f"{path}: page {index} of {title!r} is not a number with a list of panels.")
        pages[int(index)] = tuple(order)
    return TitleOverride(direction, columns, spread, pages)
