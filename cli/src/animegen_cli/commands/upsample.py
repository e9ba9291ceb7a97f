"""``animegen upsample``: a video to a smoother one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import InputError, UsageError
from animegen.film.options import TABLE, UpsampleOptions
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console
from animegen_cli.run_options import FILE, SOURCE, command_line_layer, options_of, refuse_idle

if TYPE_CHECKING:
    from animegen.registry import Registry
    from animegen.settings.layers import ConfigLayer

FEWER = "a smaller video, or fewer devices at once, would"


@click.command(cls=Command)
@click.argument("video", type=FILE, required=False)
@click.option("--from", "record", type=FILE, metavar="RUN.JSON", help="Settings and video of an earlier upsampling.")
@click.option("--resume", is_flag=True, help="Go on in the folder of the same run; a finished one is not repeated.")
@click.option("--dry-run", is_flag=True, help="Look at the video, check everything and say what would be done.")
@options_of(UpsampleOptions, {"upsampler": ("--with",)})
@pass_console
def upsample(
    console: Console,
    /,
    video: Path | None,
    record: Path | None,
    resume: bool,
    dry_run: bool,
    out: Path,
    force: bool,
    **values: Any,
) -> None:
    """Draw more frames between the frames of VIDEO.

    VIDEO is a video, an animated GIF, WebP or PNG, a folder of pictures (with --source-fps), or the folder of an
    earlier run. Sound, subtitles and time stamps are kept. The clip's path goes to standard output, all else to
    standard error.
    """
    if resume and force:
        raise UsageError(
            "--resume keeps what an earlier run made; --force makes it anew.", hint="leave one of them out"
        )
    if video is None and record is None:
        raise UsageError("VIDEO is missing.", hint="animegen upsample VIDEO --factor 2")
    from animegen.film.film import Film
    from animegen.film.options import resolve_upsampling
    from animegen.film.plan import memory_need_mib
    from animegen.film.source import open_source
    from animegen.pipeline.record import read_record
    from animegen_cli.environment import installed
    from animegen_cli.reporters import reporter_for
    from animegen_cli.results import say_clip, say_film, say_plan, with_free_memory

    document = read_record(record, command="upsample") if record else None
    registry, typed = installed(), command_line_layer(values, UpsampleOptions, TABLE)
    settings = resolve_upsampling(registry, _layers(registry, typed, document, video))
    refuse_idle(typed, [settings.choice], TABLE)
    expected = None
    if video is None:
        assert document is not None
        video, expected = _recorded(document)
    options = settings.values
    reporter = reporter_for(console)
    try:
        source = open_source(
            video,
            fps=options.source_rate,
            eight_bit=options.eight_bit,
            max_pixels=options.max_pixels,
        )
        if expected not in (None, source.digest):
            raise InputError(
                f"{video} has changed since the run that run.json tells of.",
                hint=f"to take it as it is now: animegen upsample {video} --from {record}",
            )
        with Film(source, settings, out=out, reporter=reporter, force=force) as film:
            plan = [*with_free_memory(film.plan(), memory_need_mib(settings, source), FEWER)]
            reporter.plan(plan)
            film.check()
            if dry_run:
                say_plan(console, film.id, plan)
                return
            clip = film.run(resume=resume)
    finally:
        reporter.close()
    if not reporter.begun:
        console.say("note", "this run was finished before; --force makes it anew")
    say_film(console, clip)
    say_clip(console, clip)


def _layers(
    registry: Registry, typed: ConfigLayer, document: Mapping[str, Any] | None, video: Path | None
) -> list[ConfigLayer]:
    from animegen.pipeline.record import record_layer
    from animegen.settings.resolve import layers_here

    if document is None:
        return layers_here(registry, typed.tables, source=SOURCE)
    layer = record_layer(document)
    if video is not None:  # the speed of another source
        layer = replace(layer, tables={name: _without(table, "source_fps") for name, table in layer.tables.items()})
    return [layer, typed]


def _without(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}


def _recorded(document: Mapping[str, Any]) -> tuple[Path, str]:
    """The video of an earlier upsampling, and its digest then."""
    facts = document["inputs"]["source"]
    if "path" not in facts:
        raise InputError("this run.json is of a clip in memory, which no record can hold.", hint="name a VIDEO")
    path = Path(facts["path"])
    if not path.exists():
        raise InputError(f"{path}, which run.json names, is no longer there.", hint="name it where it is now, as VIDEO")
    return path, facts["sha256"]
