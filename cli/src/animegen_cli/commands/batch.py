"""``animegen batch``: many pairs to clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import InterruptedRun, PartialError, ResourceError, UsageError
from animegen.resumable.workers import WorkerKilled
from animegen_cli.batch_work import Job, Outcome, Warnings, do_item, in_processes, read_item
from animegen_cli.console import Console, duration
from animegen_cli.group import Command, pass_console
from animegen_cli.pair_lists import Item, read_pairs, write_failed
from animegen_cli.run_options import SOURCE, command_line_layer, refuse_idle, run_options

if TYPE_CHECKING:
    from animegen.pipeline.pipeline import Pipeline

FAILED = "failed.tsv"


@click.command(cls=Command)
@click.argument("pairs", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N pairs.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help=(
    "Processes at work; each holds the stages in memory of its own."
))  # fmt: skip
@click.option("--keep-going/--stop", default=True, help="After a pair that failed. [keep going]")
@click.option("--resume", is_flag=True, help="Always so: finished pairs are skipped, others go on where they stopped.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@run_options
@pass_console
def batch(
    console: Console,
    /,
    pairs: Path,
    limit: int | None,
    jobs: int,
    keep_going: bool,
    resume: bool,
    dry_run: bool,
    run_recipe: str | None,
    out: Path,
    force: bool,
    **values: Any,
) -> None:
    """Turn many pairs of panels into clips; one path for each goes to standard output.

    PAIRS is a table (a .tsv with the columns id, first, last, prompt, as animegen panels writes it) or a folder
    of pictures: NAME_a with NAME_b, or else each with the next. Exit code 6 when some pairs failed.
    """
    if resume and force:
        raise UsageError(
            "--resume keeps what an earlier run made; --force makes it anew.", hint="leave one of them out"
        )
    from animegen.pipeline.pipeline import Pipeline, usual_layers
    from animegen_cli.environment import installed
    from animegen_cli.reporters import batch_reporter_for

    items = read_pairs(pairs)[:limit]
    registry, layer = installed(), command_line_layer(values)
    layers, reason = usual_layers(registry, run_recipe, layer.tables, source=SOURCE)
    reporter = batch_reporter_for(console, len(items))
    told = Warnings(reporter)
    outcomes: list[Outcome] = []
    try:
        with Pipeline(layers=layers, out=out, registry=registry, reporter=told, force=force) as pipeline:
            pipeline.reason = reason
            refuse_idle(layer, pipeline.settings.taking_part)
            pipeline.check()
            _plan(console, pipeline, items)
            if dry_run:
                _list(console, items)
                return
            if jobs == 1:
                coming = _one_by_one(pipeline, items, reporter.pair, force=force)
            else:
                jobs = min(jobs, len(items))
                coming = in_processes(Job(tuple(layers), out, force), items, jobs)
                reporter.waiting(0, jobs)
            _gather(console, coming, outcomes, len(items), reporter, jobs, keep_going=keep_going)
    except KeyboardInterrupt:
        raise InterruptedRun(_stopped(outcomes, items)) from None
    except InterruptedRun as stop:
        raise InterruptedRun(_stopped(outcomes, items), hint=stop.hints) from None
    finally:
        reporter.close()
    _summary(console, outcomes, items, out)


def _one_by_one(pipeline: Pipeline, items: Sequence[Item], announce: Any, *, force: bool) -> Iterator[Outcome]:
    for number, item in enumerate(items, start=1):
        announce(number, item.id)
        yield do_item(pipeline, item, force=force)


def _gather(
    console: Console,
    coming: Iterator[Outcome],
    outcomes: list[Outcome],
    total: int,
    reporter: Any,
    jobs: int,
    *,
    keep_going: bool,
) -> None:
    """Tell of each outcome as it comes, and stop at a failed one where that is wanted."""
    try:
        with closing(coming):  # type: ignore[type-var]
            for outcome in coming:
                outcomes.append(outcome)
                reporter.outcome(len(outcomes), total, outcome)
                if outcome.document and not console.json:
                    console.path(outcome.document["clip"])
                if outcome.status == "failed" and not keep_going:
                    return
                if jobs > 1 and len(outcomes) < total:
                    reporter.waiting(len(outcomes), jobs)
    except WorkerKilled:
        raise ResourceError(
            f"a process was killed, most likely for want of memory; {len(outcomes)} of {total} pairs are finished.",
            hint="the same command with fewer --jobs goes on",
        ) from None


def _plan(console: Console, pipeline: Pipeline, items: Sequence[Item]) -> None:
    """The plan of the first pair that can be read stands for all."""
    from animegen.errors import AnimeGenError

    console.say("pairs", f"{len(items)}, from {items[0].id} to {items[-1].id}")
    for item in items:
        try:
            pair, _ = read_item(pipeline, item)
        except AnimeGenError:
            continue  # told when its turn comes
        for label, text in pipeline.plan(pair):
            console.say(label, text)
        return


def _list(console: Console, items: Sequence[Item]) -> None:
    if console.json:
        facts = [{"id": one.id, "first": str(one.first), "last": str(one.last), "prompt": one.prompt} for one in items]
        console.document({"status": "planned", "pairs": facts})
        return
    console.table(("id", "first", "last", "prompt"), [(i.id, str(i.first), str(i.last), i.prompt) for i in items])


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return {status: sum(outcome.status == status for outcome in outcomes) for status in ("done", "skipped", "failed")}


def _stopped(outcomes: Sequence[Outcome], items: Sequence[Item]) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in _counts(outcomes).items() if count)
    return f"stopped with {counts or 'nothing'} finished, {len(items) - len(outcomes)} to go; all of it is kept."


def _summary(console: Console, outcomes: Sequence[Outcome], items: Sequence[Item], out: Path) -> None:
    failures = [(outcome.item, outcome.error) for outcome in outcomes if outcome.status == "failed"]
    place = out / FAILED
    if failures:
        write_failed(place, failures)
    else:
        place.unlink(missing_ok=True)  # it would tell of an earlier batch
    counts = _counts(outcomes)
    left = len(items) - len(outcomes)
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "done")
    words += f" ({place})" if failures else ""
    words += f", {left} not begun" if left else ""
    if not failures:
        console.say("done", f"{words}   {duration(sum(outcome.seconds for outcome in outcomes))} of work")
    if console.json:
        status = "partial" if failures else "done"
        facts = [outcome.facts() for outcome in outcomes]
        table = str(place) if failures else None
        console.document({"status": status, **counts, "not_begun": left, "failed_tsv": table, "pairs": facts})
    if failures:
        raise PartialError(f"{words}.", hint=f"once they are mended: animegen batch {place} with the same options")
