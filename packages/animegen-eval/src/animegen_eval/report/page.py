"""The page: one HTML file that carries its style, its script and its figures, and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files

import jinja2
from markupsafe import Markup

from animegen_eval.report.cells import Table
from animegen_eval.report.findings import Finding
from animegen_eval.report.inline import Drawn
from animegen_eval.report.media import PairMedia
from animegen_eval.report.numbers import number


@dataclass(frozen=True)
class QuantitySection:
    """One quantity: what it is, its figures and its tables.

    Attributes:
        anchor: Unique in the page.
        name, unit, better, scope, summary, metric: As its record has them.
        gap: See `animegen_eval.rows.Row`.
        won_by: Controls that have won, so that it ranks nothing.
        notes: What must be said of it: what turns round, why there are no effects.
        figures: In order.
        tables: In order.
        data: Links to its figures as data: (name, address).
    """

    anchor: str
    name: str
    unit: str
    better: str
    scope: str
    summary: str
    metric: str
    gap: int | None
    won_by: tuple[str, ...]
    notes: tuple[str, ...]
    figures: tuple[Drawn, ...]
    tables: tuple[Table, ...]
    data: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Page:
    """Everything that the template shows. All texts are plain; the template escapes them.

    Attributes:
        title: Of the page.
        kind: ``evaluation`` or ``ablation``.
        facts: What is told below the title: (name, value).
        findings: Sentences.
        pairs: With their clips.
        main: Tables of systems.
        markdown: The same for a paper.
        quantities: A section each.
        by_title, by_subset, published, worst, native, gates, disqualified, missing: Tables; None or empty where there
            is nothing to tell.
        notes: What the evaluation noted.
        provenance: Tables of versions, metrics, weights, inputs.
        commands: (what, command line).
        licences: (pair, what is known).
        data: (what, address, size).
        codes: Legend of configurations: (name, levels).
        directed: Number of quantities of which one direction is better.
        clip_note: What must be known of the clips.
        published_notes: What must be known of published scores.
    """

    title: str
    kind: str
    facts: Sequence[tuple[str, str]]
    findings: Sequence[Finding]
    pairs: Sequence[PairMedia]
    main: Sequence[Table]
    markdown: str
    quantities: Sequence[QuantitySection]
    by_title: Sequence[Table]
    worst: Table | None
    native: Table | None
    gates: Table | None
    disqualified: Table | None
    missing: Table | None
    notes: Sequence[str]
    provenance: Sequence[Table]
    commands: Sequence[tuple[str, str]]
    licences: Sequence[tuple[str, str]]
    data: Sequence[tuple[str, str, str]]
    codes: Sequence[tuple[str, str]]
    directed: int
    clip_note: str = ""
    by_subset: Sequence[Table] = ()
    published: Table | None = None
    published_notes: Sequence[str] = ()

    @property
    def looks(self) -> set[str]:
        """How cells of the main tables look: what the legend must explain."""
        return {cell.look for table in self.main for row in table.rows for cell in row}


def render(page: Page) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("animegen_eval.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = asset("report.js"), asset("report.css")
    environment.filters["number"] = number
    environment.filters["svg"] = lambda figure: Markup(figure.inline)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    clips = [asdict(pair) for pair in page.pairs]
    return environment.get_template("report.html.j2").render(
        page=page, script=Markup(script), style=Markup(style), digest=digest, clips=clips
    )


def asset(name: str) -> str:
    """The text of a file that the page carries."""
    return files("animegen_eval.report").joinpath("assets", name).read_text("utf-8")
