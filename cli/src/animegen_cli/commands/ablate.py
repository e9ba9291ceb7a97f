"""``animegen ablate``: every combination of stages over many pairs, and what each stage does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import InterruptedRun, MissingError, PartialError, UsageError
from animegen_cli.commands.evaluate import require_evaluation
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console
from animegen_cli.pair_lists import write_failed
from animegen_cli.run_options import SOURCE, command_line_layer, refuse_idle, run_options

if TYPE_CHECKING:
    from animegen.settings.layers import ConfigLayer
    from animegen_eval.ablation.ablate import Ablation, Report
    from animegen_eval.ablation.design import AblationFactor

FAILED = "failed.tsv"


@click.command(cls=Command)
@click.argument("pairs", type=click.Path(path_type=Path))
@click.option("--on", "switched", multiple=True, metavar="KIND=STAGE", help=(
    "Without this stage and with it: inpainter, preprocessor or upsampler. [those of the recipe]"
))  # fmt: skip
@click.option("--vary", "varied", multiple=True, metavar="KEY=A,B,...", help=(
    "Each of these, the baseline first: interpolator=flow,crossfade or lab.clahe_clip=1,2,4."
))  # fmt: skip
@click.option("--only", metavar="000,111", help="These configurations alone, by the numbers of their levels.")
@click.option("--pairs", "count", type=click.IntRange(min=1), default=40, show_default=True, metavar="N", help=(
    "How many are taken, by a rule that is written down beforehand."
))  # fmt: skip
@click.option("--titles", type=click.IntRange(min=1), default=5, show_default=True, metavar="N", help=(
    "From how many titles they are taken."
))  # fmt: skip
@click.option("--pairs-seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Which ones.")
@click.option(
    "--study", default="ablation", show_default=True, metavar="NAME", help="Folder of the study, below --out."
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help=(
    "Processes at work; several devices of --device are shared out among them."
))  # fmt: skip
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="A metric or one of its quantities. [all]")
@click.option("--scores/--no-scores", default=True, help="Measure the clips. [yes]")
@click.option("--allow-missing", is_flag=True, help="Metrics whose weights are not here are no error.")
@click.option("--resume", is_flag=True, help="Always so: what is finished is never made again.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@run_options
@pass_console
def ablate(
    console: Console,
    /,
    pairs: Path,
    switched: tuple[str, ...],
    varied: tuple[str, ...],
    only: str | None,
    count: int,
    titles: int,
    pairs_seed: int,
    study: str,
    workers: int,
    metrics: tuple[str, ...],
    scores: bool,
    allow_missing: bool,
    resume: bool,
    dry_run: bool,
    run_recipe: str | None,
    out: Path,
    force: bool,
    **values: Any,
) -> None:
    """Run every combination of stages over many pairs, score all of them alike, and say what each stage does.

    PAIRS is a table or a folder as animegen batch takes it, what animegen panels wrote, or a Manga109 folder. By
    default, balloon removal, preprocessing and upsampling are left out and put in: 8 configurations, 4 samplings a
    pair. The path of the Markdown table goes to standard output.

    Exit codes: 3 a metric's weights are missing, 6 some pairs failed and are left out of all configurations.
    """
    require_evaluation()
    if force:
        raise UsageError(
            "--force has no meaning here: a result is kept under the hash of all that made it.",
            hint="to make everything anew: another --out",
        )
    if not study or Path(study).name != study or study.startswith("."):
        raise UsageError(
            f"--study {study!r} is no name of a folder below --out.", hint="a name alone, as in --study first"
        )
    from animegen.pipeline.pipeline import usual_layers
    from animegen_cli.environment import installed
    from animegen_cli.reporters import reporter_for
    from animegen_cli.study_pairs import candidates
    from animegen_eval.ablation.ablate import Ablation
    from animegen_eval.ablation.choice import Rule, choose

    registry, layer = installed(), command_line_layer(values)
    layers, reason = usual_layers(registry, run_recipe, layer.tables, source=SOURCE)
    reporter = reporter_for(console)
    try:
        factors, notes = _factors(switched, varied, registry, layers, layer)
        design = _design(factors, only)
        rule = Rule(count, titles, pairs_seed)
        chosen = choose(candidates(pairs, rule, out / study / "panels", dry_run=dry_run, reporter=reporter), rule)
        ablation = Ablation(
            design,
            chosen,
            layers=layers,
            out=out,
            name=study,
            registry=registry,
            workers=min(workers, len(chosen.pairs)),
            metrics=metrics if scores else None,
            reporter=reporter,
        )
        _refuse_idle(layer, ablation, registry)
        plan = [*ablation.plan(), *([("why", reason)] if reason else []), *(("note", text) for text in notes)]
        for label, text in plan:
            console.say(label, text)
        if dry_run:
            console.say("dry", "nothing was made (--dry-run)")
            if console.json:
                console.document({"status": "planned", "plan": [list(line) for line in plan], **_planned(ablation)})
            return
        report = ablation.run()
    except KeyboardInterrupt:
        raise InterruptedRun("stopped; everything that is finished is kept.") from None
    finally:
        reporter.close()
    _tell(console, ablation, report, allow_missing=allow_missing)


def _factors(
    switched: Sequence[str], varied: Sequence[str], registry: Any, layers: Sequence[ConfigLayer], typed: ConfigLayer
) -> tuple[list[AblationFactor], list[str]]:
    from animegen.settings.resolve import resolve_settings
    from animegen_eval.ablation.design import default_factors, on, refuse_clashes, vary

    settings = resolve_settings(registry, layers)
    factor = settings.run.values.factor
    if not switched and not varied:
        found, notes = default_factors(settings)
        return list(found), notes
    factors = [*(on(text, factor=factor) for text in switched), *(vary(text, factor=factor) for text in varied)]
    refuse_clashes(factors, typed)
    return factors, []


def _design(factors: Sequence[AblationFactor], only: str | None) -> Any:
    from animegen_eval.ablation.design import AblationDesign

    codes = tuple(code.strip() for code in (only or "").split(",") if code.strip())
    return AblationDesign(tuple(factors), codes)


def _refuse_idle(layer: ConfigLayer, ablation: Ablation, registry: Any) -> None:
    """An option of a stage that takes part in no configuration, and is no metric, is a typing mistake."""
    from animegen.settings.layers import ConfigLayer

    metrics = {stage.name for stage in registry.stages("metric")}
    typed = ConfigLayer(layer.source, {name: table for name, table in layer.tables.items() if name not in metrics})
    pipelines = ablation.pipelines.values()
    refuse_idle(typed, [choice for pipeline in pipelines for choice in pipeline.settings.taking_part])


def _planned(ablation: Ablation) -> dict[str, Any]:
    stages = {stage.step: {"items": len(stage.items), "separate": stage.separate} for stage in ablation.stages()}
    memory = [{"device": one.device, "need": one.need, "have": one.have} for one in ablation.needs()]
    return {**ablation.fixed(), "stages": stages, "memory": memory, "workers": ablation.workers}


def _tell(console: Console, ablation: Ablation, report: Report, *, allow_missing: bool) -> None:
    from animegen_eval.ablation.ablate import ANALYSIS, TABLE
    from animegen_eval.ablation.tables import summary_lines

    folder, failures = report.study.folder, report.generated.failures
    if report.analysis is not None and not console.json:
        rows = list(summary_lines(ablation.design, report.analysis))
        if rows and not console.quiet:
            console.table(("quantity", "effect", "mean", "95 % interval", "p (Holm)"), rows)
    _write_failures(ablation, report)
    clips = len(ablation.design.cells) * (len(ablation.chosen.pairs) - len(failures))
    console.say("done", f"{clips} clips in {folder / 'clips'}")
    if report.analysis is not None:
        console.say("", f"{folder / TABLE}   for people; {folder / ANALYSIS} for programs")
    if console.json:
        console.document(
            {
                "status": "partial" if failures else "done",
                "study": str(folder),
                "clips": clips,
                "generated": report.generated.as_record(),
                "failed": [vars(failure) for failure in failures.values()],
                "missing": {name: error.message for name, error in report.missing.items()},
                "notes": list(report.notes),
                "table": str(folder / TABLE) if report.analysis else None,
                "analysis": str(folder / ANALYSIS) if report.analysis else None,
            }
        )
    else:
        console.path(str(folder / TABLE if report.analysis else folder / "clips"))
    if failures:
        hint = f"they are in {folder / FAILED}; once they are mended, the same command takes them in"
        raise PartialError(f"{len(failures)} of {len(ablation.chosen.pairs)} pairs failed.", hint=hint)
    if report.evaluation is not None and (broken := report.evaluation.facts["failures"]):
        first = broken[0]
        where = f"{first['metric']} of {first['config']}, {first['clip']}"
        raise PartialError(
            f"{len(broken)} scores failed, the rest are fine; the first one, {where}: {first['reason']}",
            hint="they are null in the tables, with their reasons",
        )
    if report.missing and not allow_missing:
        absent = next(iter(report.missing.values()))
        raise MissingError(absent.message, hint=absent.hints)


def _write_failures(ablation: Ablation, report: Report) -> None:
    from animegen_cli.pair_lists import Item

    path = report.study.folder / FAILED
    if not report.generated.failures:
        path.unlink(missing_ok=True)
        return
    rows = []
    for failure in report.generated.failures.values():
        pair = ablation.chosen.pairs[failure.pair]
        rows.append((Item(**vars(pair)), f"{failure.step}: {failure.error}"))
    write_failed(path, rows)
