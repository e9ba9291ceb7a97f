"""The folder of an ablation as material of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from animegen.errors import InputError
from animegen_eval.ablation.choice import TERMS
from animegen_eval.ablation.design import AblationDesign, AblationFactor, Level
from animegen_eval.ablation.study import FAILED, FILE_NAME, Study, read_study
from animegen_eval.report.evaluations import read_evaluation
from animegen_eval.report.material import Ablation, ClipPlace, Material, PairMaterial

_TABLES = {
    "the study: pairs, rule, factors, settings, JSON": FILE_NAME,
    "effects, intervals and tests, JSON": "analysis.json",
    "table for a paper, Markdown": "table.md",
    "pairs that were left out": FAILED,
}


def read_material(folder: Path) -> Material:
    """What lies in a folder: an ablation where it holds a study.json, an evaluation otherwise.

    Raises:
        InputError: It is neither, or is damaged.
    """
    if not (folder / FILE_NAME).is_file() if folder.is_dir() else folder.name != FILE_NAME:
        return read_evaluation(folder)
    study = read_study(folder if folder.is_dir() else folder.parent)
    try:
        scored = read_evaluation(study.folder)
    except InputError as error:
        raise InputError(
            f"{study.folder} is not scored yet: {error.message}", hint="animegen ablate, called again, goes on with it"
        ) from None
    try:
        return _with_design(scored, study)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{study.folder / FILE_NAME} is damaged: {error!r}.",
            hint="with a --study of another name, animegen ablate makes the study again from the results it kept",
        ) from None


def _with_design(scored: Material, study: Study) -> Material:
    record = study.fixed["design"]
    factors = tuple(
        AblationFactor(one["name"], one["varies"], tuple(Level(level["name"], {}) for level in one["levels"]))
        for one in record["factors"]
    )
    cells = {code: tuple(levels) for code, levels in record["cells"].items()}
    known = {row.config for row in scored.rows if not row.control}
    pairs = {one["id"]: (number, one) for number, one in enumerate(study.fixed["choice"]["pairs"])}
    files = {what: study.folder / name for what, name in _TABLES.items() if (study.folder / name).is_file()}
    return replace(
        scored,
        kind="ablation",
        pairs=[_pair(pair, study, pairs, [code for code in cells if code in known]) for pair in scored.pairs],
        ablation=Ablation(AblationDesign(factors, tuple(cells)), cells),
        facts={**scored.facts, "study": {**study.fixed, **study.facts}},
        files={**scored.files, **files},
    )


def _pair(
    pair: PairMaterial, study: Study, pairs: Mapping[str, tuple[int, Mapping[str, Any]]], codes: list[str]
) -> PairMaterial:
    if pair.clip not in pairs:
        return pair
    number, record = pairs[pair.clip]
    places = [ClipPlace(code, study.clip(code, number, pair.clip)) for code in codes]
    panels = tuple(Path(record[name]) for name in ("first", "last"))
    return replace(
        pair,
        clips=tuple(place for place in places if place.path.is_dir()),
        panels=(panels[0], panels[1]) if all(panel.is_file() for panel in panels) else pair.panels,
        licence=", ".join(str(record[name]) for name in TERMS if record.get(name)),
    )
