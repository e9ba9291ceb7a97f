"""``animegen evaluate``: numbers for clips, beside controls."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import InterruptedRun, MissingError, PartialError, UsageError
from animegen_cli import complete
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console

if TYPE_CHECKING:
    from animegen_eval.tables import Evaluation

PATH = click.Path(path_type=Path)
OUT = Path("evaluation")


@click.command(cls=Command)
@click.argument("clips", nargs=-1, type=PATH, metavar="[RUN|FOLDER|VIDEO]...")
@click.option("--profile", default="", metavar="NAME", help=(
    "What is shown and what counts: held-out-middle, two-panel, atd12k, clip-set; the one that fits otherwise."
))  # fmt: skip
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="A metric or one of its quantities. [all]",
              shell_complete=complete.suggests(lambda: complete.stages("metric")))  # fmt: skip
@click.option("--truth", type=PATH, metavar="DIR", help="Folder of the true clips, of the same names.")
@click.option("--interpolator", "interpolators", multiple=True, metavar="NAME", help="Draws here, in real clips.",
              shell_complete=complete.suggests(lambda: complete.stages("interpolator")))  # fmt: skip
@click.option("--gap", "gaps", multiple=True, type=int, metavar="N", help="Frames from one given frame to the other.")
@click.option("--parts", type=click.IntRange(min=1), metavar="N", help="Most parts cut out of a clip for each gap.")
@click.option("--fps", metavar="X", help="Frames per second of folders of frames.")
@click.option("--by", type=click.Choice(("config", "title", "clip")), default="config", help="Lines of the table.")
@click.option("--out", type=PATH, default=OUT, show_default=True, metavar="DIR", help="Where the tables go.")
@click.option("--cache", type=PATH, metavar="DIR", help="Where scores are kept, for several evaluations. [below --out]")
@click.option("--device", default="auto", metavar="NAME", help="For metrics and interpolators: auto, cpu, cuda:0.")
@click.option("--dtype", default="auto", metavar="NAME", help="Number format on the device.")
@click.option("-o", "assignments", multiple=True, metavar="NAME.OPTION=VALUE", help="An option of a metric or stage.")
@click.option("--allow-missing", is_flag=True, help="Metrics whose weights are not here are no error.")
@click.option("--force", is_flag=True, help="Measure sets that are too small; the table says so.")
@click.option(
    "--fail-if", "conditions", multiple=True, metavar="CONDITION", help="Exit code 7 where it holds: psnr<25."
)
@click.option("--resume", is_flag=True, help="Always so: what was measured is not measured again.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured.")
@click.option("--list", "listing", is_flag=True, help="Show every quantity: what it needs, and what beats it.")
@click.option("--check", is_flag=True, help="Look whether weights are right, and try each metric on tiny clips.")
@pass_console
def evaluate(
    console: Console,
    /,
    clips: tuple[Path, ...],
    metrics: tuple[str, ...],
    out: Path,
    cache: Path | None,
    conditions: tuple[str, ...],
    allow_missing: bool,
    dry_run: bool,
    listing: bool,
    check: bool,
    **values: Any,
) -> None:
    """Measure clips, and controls beside them that no metric may prefer.

    CLIPS are runs, videos, folders of frames, or folders of these. With --interpolator they are real clips, and what
    is named draws between their frames. Tables go to --out (Parquet, CSV, JSON), the summary to standard output.

    Exit codes: 3 a metric's weights are missing, 4 an input cannot be read, 6 something broke for some clips,
    7 a condition of --fail-if holds.
    """
    require_evaluation()
    if listing:
        from animegen_cli.metric_lists import list_metrics

        list_metrics(console, metrics, out)
        return
    if check:
        from animegen_cli.metric_lists import check_metrics

        check_metrics(console, metrics)
        return
    from animegen_cli.environment import installed
    from animegen_cli.evaluation_table import say_evaluation
    from animegen_cli.reporters import reporter_for
    from animegen_cli.results import say_plan
    from animegen_eval.conditions import Condition
    from animegen_eval.conditions import check as check_conditions
    from animegen_eval.evaluation import Evaluator, Request
    from animegen_eval.tables import SUMMARY

    held = [Condition.parse(text) for text in conditions]
    request = Request(
        clips,
        values["profile"],
        metrics,
        values["truth"],
        values["interpolators"],
        values["gaps"],
        values["parts"],
        _rate(values["fps"]),
        values["by"],
        values["device"],
        values["dtype"],
        values["force"],
    )
    reporter = reporter_for(console)
    try:
        with Evaluator(
            request,
            installed(),
            layers=_layers(values["assignments"], values["device"], values["dtype"]),
            out=out,
            cache=cache,
            reporter=reporter,
        ) as evaluator:
            plan = evaluator.plan()
            reporter.plan(plan)
            if dry_run:
                say_plan(console, evaluator.profile.hash, plan)
                return
            evaluation = evaluator.run()
    except KeyboardInterrupt:
        raise InterruptedRun("stopped; every clip that was measured is kept.") from None
    finally:
        reporter.close()
    say_evaluation(console, evaluation)
    console.say("done", f"{out / SUMMARY}   {len(evaluation.clips)} rows of clips, {len(evaluation.frames)} of frames")
    _refuse(evaluation, allow_missing=allow_missing)
    check_conditions(held, evaluation.summary.figures)


def require_evaluation() -> None:
    """Raises MissingError where the evaluation is not installed."""
    from animegen.registry import is_installed

    if not is_installed("animegen_eval"):
        raise MissingError("the evaluation is not installed.", hint="python -m pip install animegen-eval")


def _refuse(evaluation: Evaluation, *, allow_missing: bool) -> None:
    """An evaluation with holes says so by its exit code. Raises MissingError or PartialError."""
    missing, failures = evaluation.facts["missing"], evaluation.facts["failures"]
    if missing and not allow_missing:
        raise MissingError(
            " ".join(one["reason"] for one in missing), hint=tuple(hint for one in missing for hint in one["hints"])
        )
    if failures:
        first = failures[0]
        where = f"{first['metric']} of {first['config']}, {first['clip']}"
        raise PartialError(
            f"{len(failures)} scores failed, the rest are fine; the first one, {where}: {first['reason']}",
            hint="they are null in the tables, with their reasons",
        )


def _layers(assignments: tuple[str, ...], device: str, dtype: str) -> list[Any]:
    """Settings of metrics and interpolators: the settings file, the environment, what was typed."""
    from animegen.settings.layers import ConfigLayer, assignments_layer, environment_layer, file_layer
    from animegen.settings.resolve import table_names
    from animegen_cli.environment import installed
    from animegen_cli.run_options import SOURCE

    layers = [environment_layer(table_names(installed()) - {"plugins"}), assignments_layer(assignments, SOURCE)]
    own = {name: value for name, value in (("device", device), ("dtype", dtype)) if value != "auto"}
    return [*([layer] if (layer := file_layer()) else []), *layers, ConfigLayer(SOURCE, {"run": own})]


def _rate(text: str | None) -> Fraction | None:
    from animegen.settings.resolve import parse_fps

    if text is None:
        return None
    try:
        return parse_fps(text, "--fps")
    except UsageError as error:
        raise UsageError(error.message, hint="frames per second, as in --fps 24") from None
