"""The folder of an evaluation as material of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from animegen.documents import read_json
from animegen.errors import AnimeGenError, InputError
from animegen.pipeline.record import FILE_NAME
from animegen_eval.profiles import Profile
from animegen_eval.report.material import ClipPlace, Material, PairMaterial
from animegen_eval.report.revive import revive
from animegen_eval.rows import Row
from animegen_eval.summary import Figure, GateResult, summarise
from animegen_eval.tables import SUMMARY, read_rows, read_summary


def read_evaluation(folder: Path) -> Material:
    """What an evaluation found.

    Args:
        folder: Its folder, or its summary.json.

    Raises:
        InputError: It is none, or damaged, or has no rows.
    """
    document = read_summary(folder)
    folder = folder if folder.is_dir() else folder.parent
    rows = read_rows(folder)
    if not rows:
        raise InputError(f"{folder} holds no scores.", hint="animegen evaluate says why it had none")
    try:
        figures = [revive(Figure, record) for record in document["figures"]]
        gates = [revive(GateResult, record) for record in document["gates"]]
        profile = profile_of(document["profile"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / SUMMARY} is damaged: {error!r}.", hint="evaluate again") from None
    return Material(
        "evaluation",
        folder,
        rows,
        figures,
        figures_by_title(rows, profile),
        gates,
        pairs_of(rows, document.get("inputs", ())),
        document,
        files=tables_of(folder),
    )


def profile_of(record: Mapping[str, Any]) -> Profile:
    """The profile that ``summary.json`` has the record of."""
    return revive(Profile, record)


def figures_by_title(rows: Sequence[Row], profile: Profile) -> list[Figure]:
    """Figures within each title; none where all clips are of one."""
    if len({row.title for row in rows}) < 2:
        return []
    return [one for one in summarise(rows, profile, by="title", strata=False).figures if one.title and one.headline]


def pairs_of(rows: Sequence[Row], inputs: Sequence[Mapping[str, Any]]) -> list[PairMaterial]:
    """Pairs in the order of the rows, with the clips that were handed in."""
    places: dict[tuple[str, str], list[ClipPlace]] = {}
    for one in inputs:
        fps = Fraction(one["fps"]) if one.get("fps") else None
        places.setdefault((one["title"], one["clip"]), []).append(ClipPlace(one["config"], Path(one["run"]), fps))
    return [
        PairMaterial(clip, title, tuple(clips := places.get((title, clip), [])), panels_of(clips))
        for title, clip in dict.fromkeys((row.title, row.clip) for row in rows)
    ]


def panels_of(clips: Sequence[ClipPlace]) -> tuple[Path, Path] | None:
    """Files of the two panels that a run was made of; None where no run says, or they are gone."""
    for clip in clips:
        if not (clip.path / FILE_NAME).is_file():
            continue
        try:
            inputs = read_json(clip.path / FILE_NAME, "a run.json")["inputs"]
            first, last = (Path(inputs[name]["path"]) for name in ("first", "last"))
        except (AnimeGenError, KeyError, TypeError):
            continue
        if first.is_file() and last.is_file():
            return first, last
    return None


def tables_of(folder: Path) -> dict[str, Path]:
    """Tables of an evaluation, by what they hold."""
    names = {
        "every clip, CSV": "clips.csv",
        "every clip, Parquet": "clips.parquet",
        "every frame and step, CSV": "frames.csv",
        "every frame and step, Parquet": "frames.parquet",
        "summary with versions and hashes, JSON": SUMMARY,
    }
    return {what: folder / name for what, name in names.items() if (folder / name).is_file()}
