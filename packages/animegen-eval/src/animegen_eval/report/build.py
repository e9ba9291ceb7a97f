"""`report`: the folder of an evaluation or of an ablation in, a folder with one page out."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animegen.atomic import replacing, write_bytes
from animegen.errors import UsageError
from animegen.pipeline.progress import Reporter
from animegen_eval.report import datasets, diagnostics, export, plots, tables
from animegen_eval.report import findings as words
from animegen_eval.report.analysis import Contest, Effects, contests, effects, unit_name
from animegen_eval.report.cells import Table
from animegen_eval.report.inline import Drawn
from animegen_eval.report.material import Material
from animegen_eval.report.media import PairMedia, gather
from animegen_eval.report.page import Page, QuantitySection, render
from animegen_eval.report.provenance import command_line, notes, provenance
from animegen_eval.report.studies import read_material
from animegen_eval.statistics.factorial import FEW_TITLES
from animegen_eval.statistics.records import Resampling, plain

PAGE = "index.html"
LARGEST = 16 * 2**20
"""Bytes of a table that is copied into the report; a larger one is named instead."""


@dataclass(frozen=True)
class Built:
    """A report.

    Attributes:
        page: The page.
        findings: What it says first.
        pairs: Number of pairs.
        clips: Number of clips that can be played.
        bytes: Of the whole folder.
        lost: What could not be shown, and why.
    """

    page: Path
    findings: tuple[str, ...]
    pairs: int
    clips: int
    bytes: int
    lost: tuple[str, ...]


def build_report(
    source: Path,
    out: Path | None = None,
    *,
    title: str | None = None,
    argv: Sequence[str] = (),
    resampling: Resampling | None = None,
    reporter: Reporter | None = None,
) -> Built:
    """Make a report.

    Args:
        source: Folder of an evaluation or of an ablation.
        out: Folder of the report; ``report`` in `source` where it is not given.
        title: Of the page.
        argv: The command, for the record.
        resampling: Draws and seeds of the effects of an ablation.
        reporter: Told how far it is.

    Raises:
        InputError: `source` is neither, or damaged, or holds no scores.
        UsageError: `out` holds something else.
        ResourceError: The disk is full or read-only.
    """
    told = reporter or Reporter()
    material = read_material(source)
    out = out or material.source / "report"
    _prepare(out, material.source)
    told.started(1, 3, "statistics", f"{len(material.rows)} values")
    found = contests(material)
    analysed, rates = effects(material, found, resampling)
    told.started(2, 3, "clips", f"{len(material.pairs)} pairs")
    pairs = _pairs(material, out, told)
    told.started(3, 3, "page", "")
    sections = [_section(number, contest, analysed, material, out) for number, contest in enumerate(found)]
    main = tables.main_tables(found, material)
    markdown = "\n".join(f"{table.caption}:\n\n{export.as_markdown(table)}" for table in main)
    write_bytes(out / "table.md", markdown.encode())
    said = _findings(found, analysed, material)
    played = {(unit_name(p.title, p.clip), clip.config): clip for p in pairs for clip in p.clips if not clip.control}
    write_bytes(out / "data" / "worst.csv", export.plain_csv(tables.worst_table(found, material, {}, None)).encode())
    page = Page(
        title=title or _title(material),
        kind=material.kind,
        facts=_facts(material, found),
        findings=said,
        pairs=[pair for pair in pairs if pair.clips or pair.panels],
        main=main,
        markdown=markdown,
        quantities=sections,
        by_title=tables.title_tables(found, material),
        worst=tables.worst_table(found, material, played),
        native=diagnostics.rate_table(rates) or diagnostics.native_table(material),
        gates=diagnostics.gate_table(material.gates, material),
        disqualified=diagnostics.disqualified_table(found),
        missing=diagnostics.missing_table(material),
        notes=[*notes(material), *(text for pair in pairs for text in pair.lost)],
        provenance=provenance(material),
        commands=_commands(material, argv),
        licences=[(unit_name(pair.title, pair.clip), pair.licence) for pair in pairs if pair.licence],
        data=_data(material, out, found, analysed),
        codes=_codes(material),
        directed=sum(contest.first.better != "none" for contest in found),
        clip_note=_clip_note(pairs),
        by_subset=datasets.subset_tables(material),
        published=datasets.published_table(material),
        published_notes=datasets.published_notes(material),
    )
    write_bytes(out / PAGE, render(page).encode())
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    lost = tuple(text for pair in pairs for text in pair.lost)
    texts = tuple(one.text for one in said)
    return Built(out / PAGE, texts, len(pairs), sum(len(pair.clips) for pair in pairs), size, lost)


def _prepare(out: Path, source: Path) -> None:
    """An empty folder for the report; an earlier report in it goes. Nothing else is ever removed."""
    if out.resolve() == source.resolve():
        raise UsageError(f"{out} holds the tables themselves.", hint="name another folder with --out")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / PAGE).is_file())):
        raise UsageError(f"{out} is there, and is no report.", hint="name another folder with --out")
    for name in ("clips", "thumbs", "figures", "data"):
        if (out / name).is_dir() and not (out / name).is_symlink():
            shutil.rmtree(out / name)


def _pairs(material: Material, out: Path, told: Reporter) -> list[PairMedia]:
    made = []
    for number, pair in enumerate(material.pairs):
        levels = material.ablation.cells if material.ablation else None
        made.append(gather(pair, number, out, with_controls=bool(material.controls), levels=levels))
        told.progress(number + 1, len(material.pairs), "pairs")
    return made


def _section(
    number: int, contest: Contest, analysed: Sequence[Effects], material: Material, out: Path
) -> QuantitySection:
    first = contest.first
    name = f"{number:02d}-{re.sub(r'[^a-z0-9]+', '-', first.quantity.lower())}"
    effect = next((one for one in analysed if one.contest is contest), None)
    figures: list[Drawn | None] = []
    shown: list[Table | None] = []
    told: list[str] = []
    if effect is not None:
        figures += [
            plots.effects_plot(effect, f"{name}-effects"),
            plots.interaction_plot(effect, f"{name}-interactions"),
            plots.turn_plot(effect, f"{name}-turns"),
        ]
        shown += [tables.effect_table(effect), tables.title_effects(effect)]
        if effect.result is None:
            told.append(f"No effects: {effect.reason}")
        else:
            told += [
                words.turn(reversal, effect.result)
                for reversal in words.turns(effect.result)
                if reversal.evidence != "none"
            ]
    figures.append(plots.means_plot(contest, f"{name}-means"))
    drawn = tuple(figure for figure in figures if figure is not None)
    for figure in drawn:
        write_bytes(out / "figures" / f"{figure.name}.svg", figure.alone.encode())
    summary = next((str(one["summary"]) for one in _quantities(material) if one["name"] == first.quantity), "")
    if effect is not None and effect.result is not None and (still := words.unchanged(effect.result)):
        summary += f"{'. ' if summary else ''}At equal times {' and '.join(still)} changes nothing in it"
    data = _figure_data(name, contest, effect, out)
    return QuantitySection(
        f"q-{name}", first.quantity, first.unit, first.better, first.scope, summary, first.metric,
        first.gap, first.beaten_by, tuple(told), drawn, tuple(table for table in shown if table is not None), data,
    )  # fmt: skip


def _quantities(material: Material) -> list[dict[str, Any]]:
    return [one for metric in material.facts.get("metrics", ()) for one in metric.get("quantities", ())]


def _figure_data(name: str, contest: Contest, effect: Effects | None, out: Path) -> tuple[tuple[str, str], ...]:
    """What the figures of a quantity show, as CSV, and everything behind it as JSON."""
    header = ("system", "control", "mean", "low", "high", "n", "missing", "unit", "better")
    rows = [
        (
            one.config, one.control, one.mean, one.interval.low if one.interval else None,
            one.interval.high if one.interval else None, one.n, one.missing, one.unit, one.better,
        )
        for one in contest.figures
    ]  # fmt: skip
    links = [("means, CSV", f"data/{name}-means.csv")]
    write_bytes(out / links[0][1], export.as_csv(header, rows).encode())
    if effect is not None and effect.result is not None:
        names = ("effect", "mean", "low", "high", "p_holm", "p_sign_flip", "dz", "n")
        lines = [
            (
                one.name, one.test.mean, one.test.percentile.low if one.test.percentile else None,
                one.test.percentile.high if one.test.percentile else None, one.p_holm, one.test.p_sign_flip,
                one.test.dz, one.test.n,
            )
            for one in effect.result.effects
        ]  # fmt: skip
        links += [("effects, CSV", f"data/{name}-effects.csv"), ("everything, JSON", f"data/{name}.json")]
        write_bytes(out / links[1][1], export.as_csv(names, lines).encode())
        text = json.dumps(plain(effect.result), indent=1, ensure_ascii=False)
        write_bytes(out / links[2][1], text.encode())
    return tuple(links)


def _findings(found: Sequence[Contest], analysed: Sequence[Effects], material: Material) -> list[words.Finding]:
    titles = len({row.title for row in material.rows if row.title})
    said = words.of_ablation(analysed) if material.ablation else words.of_systems(found)
    return [*said, *words.cautions(found, material.gates, titles, FEW_TITLES)]


def _facts(material: Material, found: Sequence[Contest]) -> list[tuple[str, str]]:
    facts = material.facts
    profile = facts.get("profile", {})
    titles = {row.title for row in material.rows if row.title}
    ranking = sum(contest.ranks for contest in found)
    study = facts.get("study") or {}
    sessions = study.get("sessions") or [{}]
    environment = facts.get("environment") or sessions[-1].get("environment", {})
    return [
        ("profile", f"{profile.get('name', '–')} {profile.get('hash', '')}".strip()),
        ("pairs" if material.kind == "ablation" else "clips", str(len(material.pairs))),
        *([("titles", str(len(titles)))] if titles else []),
        ("configurations" if material.kind == "ablation" else "systems", str(len(material.systems))),
        ("quantities", f"{len(found)}, {ranking} of which may rank"),
        *([("made", _date(created))] if (created := str(facts.get("created") or study.get("created") or "")) else []),
        *([("AnimeGen", version)] if (version := environment.get("animegen")) else []),
    ]


def _title(material: Material) -> str:
    name = material.source.resolve().name
    if material.ablation is not None:
        return " × ".join(factor.name for factor in material.ablation.design.factors)
    return f"Evaluation {name}" if name.lower() != "evaluation" else "Evaluation"


def _date(stamp: str) -> str:
    """A time of JSON as people read it."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?\+00:00$", r"\1 \2 UTC", stamp)


def _commands(material: Material, argv: Sequence[str]) -> list[tuple[str, str]]:
    made = command_line(material.facts.get("command", ()))
    return [
        *([("These numbers were made by", made)] if made else []),
        *([("This page was made by", command_line(argv))] if argv else []),
    ]


def _codes(material: Material) -> list[tuple[str, str]]:
    if material.ablation is None:
        return []
    return [
        (factor.name, ", ".join(f"{number} {level}" for number, level in enumerate(factor.levels)))
        for factor in material.ablation.design.factors
    ]


def _clip_note(pairs: Sequence[PairMedia]) -> str:
    if all(sum(not clip.control for clip in pair.clips) <= 1 for pair in pairs):
        return (
            "Interpolators drew while they were scored, and their frames were not kept as clips: "
            "what is shown is what they were given."
        )
    return ""


def _data(
    material: Material, out: Path, found: Sequence[Contest], analysed: Sequence[Effects]
) -> list[tuple[str, str, str]]:
    listed = [("this page's tables, Markdown", "table.md", _size(out / "table.md"))]
    for what, path in material.files.items():
        if path.stat().st_size > LARGEST:
            listed.append((f"{what}: {path.name} beside the {material.kind}", "", f"{_size(path)}, not copied"))
            continue
        with replacing(out / "data" / path.name) as beside:
            shutil.copyfile(path, beside)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        listed.append((what, f"data/{path.name}", f"{_size(path)}, SHA-256 {digest}…"))
    return listed


def _size(path: Path) -> str:
    count = float(path.stat().st_size)
    for unit in ("B", "kB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} MB"
