"""`ablate`: pairs and a design in; clips of every configuration, tables and effects out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.atomic import write_bytes
from animegen.errors import AnimeGenError, InputError
from animegen.pipeline.outlook import Need, refuse_too_much
from animegen.pipeline.pipeline import Pipeline
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import settings_tables
from animegen.settings.layers import ConfigLayer
from animegen_eval.ablation.analysis import Analysis, analyse_study
from animegen_eval.ablation.choice import Chosen
from animegen_eval.ablation.design import AblationDesign, refuse_idle
from animegen_eval.ablation.generate import Generated, generate
from animegen_eval.ablation.plan import Done, Stage, cell_pipelines, mark, stages
from animegen_eval.ablation.scoring import references, score
from animegen_eval.ablation.study import Study, begin, locked
from animegen_eval.ablation.tables import markdown
from animegen_eval.ablation.work import Order, load_pair
from animegen_eval.metrics import choose_metrics
from animegen_eval.statistics.records import plain
from animegen_eval.tables import Evaluation, write

if TYPE_CHECKING:
    from animegen.errors import MissingError
    from animegen.media import Strip
    from animegen.registry import Registry

ANALYSIS, TABLE = "analysis.json", "table.md"


@dataclass(frozen=True)
class Report:
    """What an ablation left.

    Attributes:
        study: The study; its folder holds everything.
        generated: What was made, and which pairs failed.
        evaluation: The tables; None where nothing was scored.
        analysis: What they say; None likewise.
        missing: Metrics that cannot measure here.
        notes: What a reader must know.
    """

    study: Study
    generated: Generated
    evaluation: Evaluation | None
    analysis: Analysis | None
    missing: Mapping[str, MissingError]
    notes: tuple[str, ...]


class Ablation:
    """A study, from its plan to its tables.

    Args:
        design: Factors and configurations.
        chosen: The pairs.
        layers: Settings of all configurations, weakest first.
        out: Folder of all runs; results of stages are shared there.
        name: Of the study's folder below `out`.
        registry: What is installed.
        workers: Processes that make clips.
        metrics: Names of metrics or quantities; none for all that are installed, None to make clips alone.
        argv: The command, for the record; this process's otherwise.
        reporter: Told what happens.

    Raises:
        AnimeGenError: A setting is wrong, something is missing, or a factor changes nothing.
    """

    def __init__(
        self,
        design: AblationDesign,
        chosen: Chosen,
        *,
        layers: Sequence[ConfigLayer],
        out: Path,
        name: str,
        registry: Registry,
        workers: int = 1,
        metrics: Sequence[str] | None = (),
        argv: Sequence[str] | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.design, self.chosen, self.layers = design, chosen, tuple(layers)
        self.out, self.folder, self.workers = out, out / name, workers
        self.reporter = reporter or Reporter()
        self._registry, self._metrics = registry, metrics
        self._argv = tuple(sys.argv if argv is None else argv)
        if metrics is not None:
            choose_metrics(registry, metrics, self.layers)  # a wrong name is told now, and not after the last clip
        self._first = Pipeline(layers=[*layers, design.cells[0].layer], out=out, registry=registry)
        self.pipelines = cell_pipelines(self._first, design.cells, self.layers)
        for pipeline in self.pipelines.values():
            pipeline.check()
        self.notes = [*chosen.notes, *refuse_idle(design.factors, design.cells, [*map(mark, self.pipelines.values())])]

    def stages(self) -> list[Stage]:
        """The work, stage by stage."""
        return stages(self.pipelines, self.chosen.pairs)

    def plan(self) -> list[tuple[str, str]]:
        """What will be done, as (label, text) lines; nothing is written or loaded.

        Raises:
            ResourceError: A device has too little memory for a stage.
        """
        pairs, cells, rule = self.chosen.pairs, self.design.cells, self.chosen.rule
        titles = len({pair.title for pair in pairs})
        factors = (f"{f.name} ({', '.join(level.name for level in f.levels)})" for f in self.design.factors)
        work = self.stages()
        done = Done(Study(self.folder, {}), self.out)
        counted = []
        for stage in work:
            before = sum(item in done for item in stage.items)
            shared = f" (instead of {stage.separate})" if stage.separate > len(stage.items) else ""
            counted.append(f"{stage.step} {len(stage.items)}{shared}{f', {before} made before' if before else ''}")
        needed = self.needs()
        refuse_too_much(needed)
        times = f", in each of {self.workers} processes" if self.workers > 1 else ""
        return [
            ("pairs", f"{len(pairs)} of {self.chosen.candidates} from {titles} titles, seed {rule.seed}"),
            ("vary", " × ".join(factors)),
            ("plan", f"{len(pairs)} pairs × {len(cells)} configurations = {len(pairs) * len(cells)} clips"),
            ("work", "; ".join(counted)),
            *(("note", text) for text in self.notes),
            *([("need", ", ".join(map(str, needed)) + times)] if needed else []),
        ]

    def needs(self) -> list[Need]:
        """Memory by device at the worst moment of one process: of the first pair that can be read."""
        strip = self._some_strip()
        if strip is None:
            return []
        found: dict[str, Need] = {}
        for pipeline in self.pipelines.values():
            for need in pipeline.needs(strip):
                if need.device not in found or need.need > found[need.device].need:
                    found[need.device] = need
        return list(found.values())

    def _some_strip(self) -> Strip | None:
        for pair in self.chosen.pairs:
            try:
                return load_pair(pair, self._first.settings.run.values.max_pixels)[0]
            except AnimeGenError:
                continue  # told when its turn comes
        return None

    def fixed(self) -> dict[str, Any]:
        """What is decided beforehand, and may not change within a study."""
        factor = self._first.settings.run.values.factor
        return {
            "choice": self.chosen.as_record(),
            "design": self.design.as_record(),
            "settings": {code: settings_tables(pipeline.settings) for code, pipeline in self.pipelines.items()},
            "references": references(self.design, factor),
        }

    def run(self) -> Report:
        """Make, score and analyse everything that is not there yet.

        Raises:
            KeyboardInterrupt: Ctrl-C; everything finished is kept.
            AnimeGenError: As the class says. What is wrong with single pairs is in the report instead.
        """
        with locked(self.folder):
            study = begin(self.folder, self.fixed())
            order = Order(self.layers, self.design.cells, self.chosen.pairs, self.out, study)
            generated = generate(
                order, self.stages(), workers=self.workers, reporter=self.reporter, registry=self._registry
            )
            study.facts["generated"] = generated.as_record()
            study.facts["failed"] = [vars(failure) for failure in generated.failures.values()]
            study.save()
            notes = list(self.notes)
            if generated.failures:
                names = ", ".join(failure.id for failure in generated.failures.values())
                notes.append(f"{len(generated.failures)} pairs failed and are left out everywhere: {names}")
            if self._metrics is None:
                return Report(study, generated, None, None, {}, tuple(notes))
            return self._scored(order, generated, self._metrics, notes)

    def _scored(self, order: Order, generated: Generated, metrics: Sequence[str], notes: list[str]) -> Report:
        whole = [number for number in range(len(order.pairs)) if number not in generated.failures]
        if not whole:
            first = next(iter(generated.failures.values()))
            raise InputError(f"no pair went through every configuration: {first.error}", hint=first.hints)
        run = self._first.settings.run.values
        evaluation, missing = score(
            order,
            whole,
            self._registry,
            metrics=metrics,
            layers=self.layers,
            device=run.device,
            dtype=run.dtype,
            argv=self._argv,
            reporter=self.reporter,
        )
        write(evaluation, self.folder)
        analysis = analyse_study(self.design, evaluation.clips)
        notes += [f"{name} has no value: {error.message}" for name, error in missing.items()]
        document = {"schema_version": 1, "notes": notes, **_document(analysis)}
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_bytes(self.folder / ANALYSIS, text.encode())
        write_bytes(self.folder / TABLE, markdown(self.design, analysis, notes=notes).encode())
        return Report(order.study, generated, evaluation, analysis, missing, tuple(notes))


def _document(analysis: Analysis) -> dict[str, Any]:
    document = plain(analysis)
    assert isinstance(document, dict)
    return document
