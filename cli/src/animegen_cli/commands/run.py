"""``animegen run``: panels to a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import UsageError
from animegen.settings.layers import ConfigLayer
from animegen_cli import pairs
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console
from animegen_cli.run_options import FILE, SOURCE, command_line_layer, refuse_idle, run_options

if TYPE_CHECKING:
    from animegen.registry import Registry


@click.command(cls=Command)
@click.argument("panels", type=FILE, nargs=-1, metavar="[FIRST [...] LAST]")
@click.option("--sample", is_flag=True, help="The bundled pair of panels; the same as naming none.")
@click.option("--from", "record", type=FILE, metavar="RUN.JSON", help="Settings and panels of an earlier run.")
@click.option("--text-boxes", type=FILE, help=(
    'Where the lettering is: {"first": [[x0, y0, x1, y1], ...], "last": []}, or a list with an entry for each panel, '
    "null for one that nobody has looked at."
))  # fmt: skip
@click.option("--first-mask", type=FILE, help="Picture of FIRST's size, white where something is to be removed.")
@click.option("--last-mask", type=FILE, help="The same for LAST.")
@click.option("--preview", is_flag=True, help="A quick look: small, few frames, no upsampling; same duration.")
@click.option("--resume", is_flag=True, help="Go on in the folder of the same run; a finished one is not repeated.")
@click.option("--dry-run", is_flag=True, help="Read the panels, check everything and say what would be done.")
@run_options
@pass_console
def run(
    console: Console,
    /,
    panels: tuple[Path, ...],
    sample: bool,
    record: Path | None,
    text_boxes: Path | None,
    first_mask: Path | None,
    last_mask: Path | None,
    preview: bool,
    resume: bool,
    dry_run: bool,
    run_recipe: str | None,
    out: Path,
    force: bool,
    **values: Any,
) -> None:
    """Turn the panels FIRST and LAST into a clip, by way of any panels between; without them, the bundled sample.

    With --loop the clip goes back to FIRST, and one panel is enough. Each pair of neighbours is drawn by itself, the
    k-th with the seed plus k - 1, and found again when a run shares it.

    The clip's path goes to standard output, all else to standard error. What is not given comes from the
    environment, animegen.toml, the recipe, and last the default in [brackets]; animegen config show lists what
    holds here.
    """
    _refuse_contradictions(panels, sample=sample, record=record, recipe=run_recipe, resume=resume, force=force)
    from animegen.pipeline.chain import links
    from animegen.pipeline.pipeline import Pipeline
    from animegen.pipeline.record import read_record
    from animegen.settings.resolve import resolve_settings
    from animegen_cli.environment import installed
    from animegen_cli.preview import preview_layer
    from animegen_cli.reporters import reporter_for
    from animegen_cli.results import planned_facts, say_better, say_clip, say_plan

    document = read_record(record, command="run") if record else None
    sources = pairs.gather(
        panels,
        document=None if sample else document,
        text_boxes=text_boxes,
        first_mask=first_mask,
        last_mask=last_mask,
    )
    registry, layer = installed(), command_line_layer(values)
    layers, reason = _layers(registry, layer, run_recipe, document)
    settings = resolve_settings(registry, layers)
    refuse_idle(layer, settings.taking_part)
    links(sources.count, loop=settings.run.values.loop)  # refuses too few panels
    reporter = reporter_for(console)
    try:
        if sources.sample:
            console.say("note", "no panels named: this is the bundled sample pair")
        options = settings.run.values
        strip, facts = pairs.load(sources, prompt=options.prompt, max_pixels=options.max_pixels, warn=reporter.warned)
        if preview:
            layers = [*layers[:-1], preview_layer(settings, strip), layers[-1]]
        with Pipeline(layers=layers, out=out, registry=registry, reporter=reporter, force=force) as pipeline:
            pipeline.reason = reason
            plan = pipeline.plan(strip)
            reporter.plan(plan)
            pipeline.check(strip if dry_run else None)  # a run looks at its memory itself, unless it is finished
            if dry_run:
                say_plan(console, pipeline.run_id(strip), plan, **planned_facts(pipeline, strip))
                return
            clip = pipeline.run(strip, resume=resume, inputs=facts, label=pairs.label(strip))
    finally:
        reporter.close()
    if not reporter.begun:
        console.say("note", "this run was finished before; --force makes it anew")
    say_clip(console, clip)
    if (chosen := settings.one("interpolator")) and not chosen.stage.spec.weights:
        say_better(console, registry)


def _refuse_contradictions(
    panels: Sequence[Path],
    *,
    sample: bool,
    record: Path | None,
    recipe: str | None,
    resume: bool,
    force: bool,
) -> None:
    for wrong, message in (
        (sample and panels, "--sample is a pair of its own; panels were given as well."),
        (record and recipe, "--from and --recipe both say which stages to use."),
        (resume and force, "--resume keeps what an earlier run made; --force makes it anew."),
    ):
        if wrong:
            raise UsageError(message, hint="leave one of them out")


def _layers(
    registry: Registry, layer: ConfigLayer, recipe: str | None, document: Mapping[str, Any] | None
) -> tuple[list[ConfigLayer], str]:
    from animegen.pipeline.pipeline import recorded_layers, usual_layers

    if document is not None:
        return recorded_layers(document, layer.tables), ""
    return usual_layers(registry, recipe, layer.tables, source=SOURCE)
