"""``animegen run``: two panels to a clip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import UsageError
from animegen.settings.layers import ConfigLayer
from animegen_cli import pairs
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console
from animegen_cli.run_options import SOURCE, command_line_layer, refuse_idle, run_options

if TYPE_CHECKING:
    from animegen.registry import Registry

FILE = click.Path(path_type=Path)


@click.command(cls=Command)
@click.argument("first", type=FILE, required=False)
@click.argument("last", type=FILE, required=False)
@click.option("--sample", is_flag=True, help="The bundled pair of panels; the same as naming none.")
@click.option("--from", "record", type=FILE, metavar="RUN.JSON", help="Settings and panels of an earlier run.")
@click.option("--text-boxes", type=FILE, help='Where the lettering is: {"first": [[x0, y0, x1, y1], ...], "last": []}.')
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
    first: Path | None,
    last: Path | None,
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
    """Turn the panels FIRST and LAST into a clip; without them, the bundled sample.

    The clip's path goes to standard output, all else to standard error. What is not given comes from the
    environment, animegen.toml, the recipe, and last the default in [brackets]; animegen config show lists what
    holds here.
    """
    _refuse_contradictions(first, last, sample=sample, record=record, recipe=run_recipe, resume=resume, force=force)
    from animegen.pipeline.pipeline import Pipeline
    from animegen.pipeline.plan import memory_need_mib
    from animegen.pipeline.record import read_record
    from animegen.settings.resolve import resolve_settings
    from animegen_cli.environment import installed
    from animegen_cli.preview import preview_layer
    from animegen_cli.reporters import reporter_for
    from animegen_cli.results import say_better, say_clip, say_plan, with_free_memory

    document = read_record(record, command="run") if record else None
    sources = pairs.gather(
        first,
        last,
        document=None if sample else document,
        text_boxes=text_boxes,
        first_mask=first_mask,
        last_mask=last_mask,
    )
    registry, layer = installed(), command_line_layer(values)
    layers, reason = _layers(registry, layer, run_recipe, document)
    settings = resolve_settings(registry, layers)
    refuse_idle(layer, settings.taking_part)
    reporter = reporter_for(console)
    try:
        if sources.sample:
            console.say("note", "no panels named: this is the bundled sample pair")
        options = settings.run.values
        pair, facts = pairs.load(sources, prompt=options.prompt, max_pixels=options.max_pixels, warn=reporter.warned)
        if preview:
            layers = [*layers[:-1], preview_layer(settings, pair), layers[-1]]
        with Pipeline(layers=layers, out=out, registry=registry, reporter=reporter, force=force) as pipeline:
            pipeline.reason = reason
            plan = [*with_free_memory(pipeline.plan(pair), memory_need_mib(pipeline.job(pair)))]
            reporter.plan(plan)
            pipeline.check()
            if dry_run:
                say_plan(console, pipeline.run_id(pair), plan)
                return
            clip = pipeline.run(pair, resume=resume, inputs=facts, label=pairs.label(pair))
    finally:
        reporter.close()
    if not reporter.begun:
        console.say("note", "this run was finished before; --force makes it anew")
    say_clip(console, clip)
    if (chosen := settings.one("interpolator")) and not chosen.stage.spec.weights:
        say_better(console, registry)


def _refuse_contradictions(
    first: Path | None,
    last: Path | None,
    *,
    sample: bool,
    record: Path | None,
    recipe: str | None,
    resume: bool,
    force: bool,
) -> None:
    if first is not None and last is None:
        raise UsageError("LAST is missing: a clip goes from one panel to another.", hint="animegen run FIRST LAST")
    for wrong, message in (
        (sample and first is not None, "--sample is a pair of its own; FIRST and LAST were given as well."),
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
