"""Which true clip belongs to which clip: by name, or by a manifest; never by a guess."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from animegen.errors import InputError
from animegen_eval.samples.pictures import Memory
from animegen_eval.samples.sources import Source, find_sources

MANIFEST = "manifest.tsv"
_SHOWN = 8


def match(
    names: Sequence[str], folder: Path, memory: Memory, *, fps: Fraction | None = None, note: Callable[[str], None]
) -> dict[str, Source]:
    """The true clip of each name.

    A file ``manifest.tsv`` in the folder, with the columns ``clip`` and ``truth`` (a name in the folder), says which
    belongs to which; without it, names are equal.

    Raises:
        InputError: A clip has no true one (all of those are listed), or the manifest is malformed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of true clips.", hint="--truth names a folder that holds them")
    there = {source.name: source for source in find_sources([folder], memory, fps=fps, note=note)}
    wanted = _manifest(folder / MANIFEST) or {name: name for name in names}
    absent = [name for name in dict.fromkeys(names) if wanted.get(name) not in there]
    if absent:
        raise InputError(
            f"{len(absent)} of {len(set(names))} clips have no true one in {folder}: {_list(absent)}.",
            hint=(
                f"it holds {_list(sorted(there))}",
                f"names must be equal, or {MANIFEST} in that folder must pair them (columns clip and truth)",
            ),
        )
    return {name: there[wanted[name]] for name in names}


def _manifest(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows or not {"clip", "truth"} <= set(rows[0]):
        raise InputError(
            f"{path} has no columns clip and truth, or no rows.",
            hint="its first line is: clip, truth, separated by a tab; without the file, names must be equal",
        )
    return {row["clip"]: row["truth"] for row in rows}


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
