"""All clips of a study, stage by stage."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from animegen.pipeline.progress import Reporter
from animegen.registry import Registry
from animegen_eval.ablation.plan import Item, Stage
from animegen_eval.ablation.work import Bench, Order, Outcome
from animegen_eval.ablation.workers import outcomes_of, share


@dataclass(frozen=True)
class Failure:
    """A pair that is left out of all configurations.

    Attributes:
        pair: Its number.
        id: Its name.
        step: Where it failed.
        error: Why.
        hints: What to do about it.
    """

    pair: int
    id: str
    step: str
    error: str
    hints: tuple[str, ...] = ()


@dataclass
class Generated:
    """What was done.

    Attributes:
        failures: By number of the pair.
        items: By step: items there are, done before, done now.
        made: Results that stages made now, by role.
        seconds: By step, time from its begin to its end.
    """

    failures: dict[int, Failure] = field(default_factory=dict)
    items: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """For study.json."""
        return {
            "items": {
                step: {"all": total, "before": before, "now": now} for step, (total, before, now) in self.items.items()
            },
            "made": dict(self.made),
            "seconds": {step: round(spent, 2) for step, spent in self.seconds.items()},
        }


def generate(
    order: Order,
    stages: Sequence[Stage],
    *,
    workers: int = 1,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Generated:
    """Do all items that are not done, one stage after the other, so that each model is loaded once.

    A pair that fails is left out of every later stage; all others go on.

    Args:
        order: The study.
        stages: Its stages.
        workers: Processes; 1 works in this one.
        reporter: Told of each stage.
        registry: Plugins to choose from, for one process; those that are installed otherwise.

    Raises:
        KeyboardInterrupt: Ctrl-C; what is finished is kept.
        ResourceError: A process was killed.
    """
    told = reporter or Reporter()
    found = Generated()
    with ExitStack() as stack:
        do: Callable[[Sequence[Sequence[Item]]], Iterator[Outcome]]
        bench = stack.enter_context(Bench(order, registry=registry))
        if workers > 1:
            device = bench.pipelines[order.cells[0].code].settings.run.values.device
            do = stack.enter_context(outcomes_of(order, share(device, workers)))
        else:

            def do(units: Sequence[Sequence[Item]]) -> Iterator[Outcome]:
                return map(bench.do, units)

        for number, stage in enumerate(stages, start=1):
            _stage(stage, number, len(stages), order, bench, do, found, told)
    return found


def _stage(
    stage: Stage,
    number: int,
    total: int,
    order: Order,
    bench: Bench,
    do: Callable[[Sequence[Sequence[Item]]], Iterator[Outcome]],
    found: Generated,
    reporter: Reporter,
) -> None:
    started = time.perf_counter()
    todo = [item for item in stage.items if item not in bench.finished]
    before = len(stage.items) - len(todo)
    wanted = [item for item in todo if item.pair not in found.failures]
    units = [list(group) for _, group in groupby(wanted, key=lambda item: item.pair)]
    kept = f", {before} made before" if before else ""
    reporter.started(number, total, stage.step, f"{len(stage.items)} items{kept}")
    made: Counter[str] = Counter()
    done = 0
    for outcome in do(units):
        done += outcome.done
        made.update(outcome.made)
        for text in outcome.warnings:
            reporter.warned(f"{order.pairs[outcome.pair].id}: {text}")
        if outcome.error:
            pair = order.pairs[outcome.pair]
            found.failures[outcome.pair] = Failure(outcome.pair, pair.id, stage.step, outcome.error, outcome.hints)
            reporter.warned(f"{pair.id} is left out of all configurations: {stage.step}: {outcome.error}")
        reporter.progress(before + done, len(stage.items), "items")
    found.items[stage.step] = (len(stage.items), before, done)
    found.made.update(made)
    found.seconds[stage.step] = time.perf_counter() - started
    results = f", {sum(made.values())} made" if made else ""
    reporter.finished(
        stage.step, f"{before + done} of {len(stage.items)} items{results}", found.seconds[stage.step], not todo
    )
