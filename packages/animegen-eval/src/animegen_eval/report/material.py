"""What a report is made of, whichever command made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from animegen_eval.ablation.design import AblationDesign
from animegen_eval.rows import Row
from animegen_eval.statistics.design import Cell, Design
from animegen_eval.summary import Figure, GateResult


@dataclass(frozen=True)
class ClipPlace:
    """Where a clip lies that can be played.

    Attributes:
        config: System, as rows name it.
        path: A run's folder, a folder of frames, or a video.
        fps: Of a folder of frames; None where nobody says.
    """

    config: str
    path: Path
    fps: Fraction | None = None


@dataclass(frozen=True)
class PairMaterial:
    """A pair of panels, or a clip, and what the systems made of it.

    Attributes:
        clip: Its name, as rows have it.
        title: What it belongs to.
        clips: In the order of the systems.
        panels: Files of both panels; None where nobody knows them.
        licence: What is known of its licence and its maker; empty where nothing is.
    """

    clip: str
    title: str
    clips: tuple[ClipPlace, ...] = ()
    panels: tuple[Path, Path] | None = None
    licence: str = ""


@dataclass(frozen=True)
class Ablation:
    """What makes systems the cells of a factorial design.

    Attributes:
        study: Factors, levels and cells as the study has them, the first level of each factor the baseline.
        cells: Levels of each system, by its name in rows.
    """

    study: AblationDesign
    cells: Mapping[str, Cell]

    @property
    def design(self) -> Design:
        """The design as statistics have it."""
        return self.study.statistics


@dataclass(frozen=True)
class Material:
    """All that a report shows.

    Attributes:
        kind: What made it.
        source: Its folder.
        rows: One for every clip, system, quantity and variant.
        figures: Of the summary, all clips of a gap together and in strata.
        titles: The same within each title.
        gates: Of the summary.
        pairs: In the order of the rows.
        facts: As ``summary.json`` has them: command, profile, environment, metrics, inputs, notes, missing, failures.
        ablation: Where systems are cells of a design.
        files: Tables to hand on, by what they hold.
    """

    kind: Literal["evaluation", "ablation"]
    source: Path
    rows: Sequence[Row]
    figures: Sequence[Figure]
    titles: Sequence[Figure]
    gates: Sequence[GateResult]
    pairs: Sequence[PairMaterial]
    facts: Mapping[str, Any]
    ablation: Ablation | None = None
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def systems(self) -> list[str]:
        """Names of systems that are no controls: cells in the order of their design, others in that of the rows."""
        named = list(dict.fromkeys(row.config for row in self.rows if not row.control))
        if self.ablation is None:
            return named
        order = {cell: number for number, cell in enumerate(self.ablation.design.cells)}
        return sorted(named, key=lambda name: order.get(self.ablation.cells.get(name, ()), len(order)))  # type: ignore[union-attr]

    @property
    def controls(self) -> list[str]:
        """Names of controls, without those of another frame rate."""
        native = ("native", "native-clip")
        return list(dict.fromkeys(row.config for row in self.rows if row.control and row.variant not in native))

    @property
    def headline(self) -> list[Figure]:
        """Figures of all clips by which systems are ranked or described: one for each gap, quantity and system."""
        return [one for one in self.figures if one.headline and not (one.stratum or one.title or one.clip)]
