"""Many pairs: from a table, or from a folder of pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from animegen.errors import InputError, UsageError, did_you_mean

COLUMNS = ("id", "first", "last", "prompt", "text_boxes", "title", "licence", "source")
"""Columns of a table of pairs; `text_boxes` names a file as ``--text-boxes`` takes it. Others are ignored."""

_ALSO = {"license": "licence", "attribution": "source"}
_BY_COUNT = {2: ("first", "last"), 3: ("id", "first", "last"), 4: ("id", "first", "last", "prompt")}
_AB = re.compile(r"(.+)[-_. ]([ab])", re.IGNORECASE)
_HINT = "a line is: id, first, last, prompt, separated by tabs; paths are relative to the table"
_FOLDER_HINT = "a folder of pairs holds pictures: NAME_a with NAME_b, or each with the next"
_MAKE_HINT = "animegen panels PAGES makes pairs from pages: FOLDER/pairs.tsv"


@dataclass(frozen=True)
class Item:
    """One pair of a batch, not read yet.

    Attributes:
        id: Names it in messages and in its run's folder.
        first, last: The files.
        prompt: Text for interpolators that read one; empty for the run's own.
        text_boxes: File that says where the lettering is, or None.
        title: What the pair belongs to; empty where the table does not say.
        licence: Under which its panels may be shown; likewise.
        source: Whom and what to name when they are; likewise.
    """

    id: str
    first: Path
    last: Path
    prompt: str = ""
    text_boxes: Path | None = None
    title: str = ""
    licence: str = ""
    source: str = ""


def read_pairs(source: Path) -> list[Item]:
    """The pairs of a table or folder, in its order.

    Raises:
        InputError: It cannot be read, or holds no pairs.
        UsageError: A line of the table is not a pair; the message has its number.
    """
    if source.is_dir():
        if items := _folder_pairs(source):
            return items
        raise InputError(f"{source} holds fewer than two pictures.", hint=(_FOLDER_HINT, _MAKE_HINT))
    if items := _table_pairs(source):
        return items
    raise InputError(f"{source} holds no line with a pair.", hint=_HINT)


def _table_pairs(path: Path) -> list[Item]:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        from animegen.imageio import no_such_file

        absent = no_such_file(path)
        raise InputError(absent.message, hint=(*absent.hints, _MAKE_HINT)) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint=_HINT) from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8.", hint=_HINT) from None
    rows = [
        (number, [cell.strip() for cell in line.split("\t")])
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    header: tuple[str, ...] | None = None
    if rows and {"first", "last"} <= {cell.lower() for cell in rows[0][1]}:
        header = tuple(_ALSO.get(cell.lower(), cell.lower()) for cell in rows.pop(0)[1])
    elif rows and rows[0][1][0].lower() == "id":
        wrong = next((cell for cell in rows[0][1] if cell.lower() not in COLUMNS), "")
        raise UsageError(f"{path} has a header without first and last.", hint=f"{did_you_mean(wrong, COLUMNS)}{_HINT}")
    return [_item(path, number, row, header) for number, row in rows]


def _item(path: Path, number: int, row: list[str], header: tuple[str, ...] | None) -> Item:
    names = header or _BY_COUNT.get(len(row))
    if names is None:
        raise UsageError(f"{path}, line {number} has {len(row)} columns.", hint=_HINT)
    cells = dict(zip(names, row, strict=False))
    if not cells.get("first") or not cells.get("last"):
        raise UsageError(f"{path}, line {number} names no two panels.", hint=_HINT)
    first, last = (path.parent / cells[name] for name in ("first", "last"))
    boxes = cells.get("text_boxes")
    return Item(
        cells.get("id") or f"{first.stem}-{last.stem}",
        first,
        last,
        cells.get("prompt", ""),
        path.parent / boxes if boxes else None,
        cells.get("title", ""),
        cells.get("licence", ""),
        cells.get("source", ""),
    )


def _folder_pairs(folder: Path) -> list[Item]:
    """``NAME_a.*`` with ``NAME_b.*``; where no picture is named so, each picture with the one after it."""
    from animegen_manga.names import IMAGE_SUFFIXES, natural_key

    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    files.sort(key=lambda path: natural_key(path.name))
    named: dict[str, dict[str, Path]] = {}
    for path in files:
        if match := _AB.fullmatch(path.stem):
            named.setdefault(match[1], {}).setdefault(match[2].lower(), path)
    pairs = [Item(name, sides["a"], sides["b"]) for name, sides in named.items() if len(sides) == 2]
    if pairs:
        return pairs
    return [Item(f"{one.stem}-{two.stem}", one, two) for one, two in pairwise(files)]


def write_failed(path: Path, failures: list[tuple[Item, str]]) -> None:
    """A table of the pairs that failed, with the reason; ``animegen batch`` takes it as it is."""
    from animegen.atomic import write_bytes

    lines = ["\t".join((*COLUMNS, "error"))]
    for item, error in failures:
        boxes = "" if item.text_boxes is None else str(item.text_boxes.absolute())
        files = (str(item.first.absolute()), str(item.last.absolute()))
        cells = (item.id, *files, item.prompt, boxes, item.title, item.licence, item.source, error)
        lines.append("\t".join(" ".join(cell.split("\t")).replace("\n", " ") for cell in cells))
    write_bytes(path, ("\n".join(lines) + "\n").encode())
