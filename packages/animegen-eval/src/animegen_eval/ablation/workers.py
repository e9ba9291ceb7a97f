"""Items in several processes, each with models of its own and devices of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from animegen.resumable.workers import Workers
from animegen_eval.ablation.plan import Item
from animegen_eval.ablation.work import Bench, Order, Outcome

Unit = Sequence[Item]
"""Items of one pair and one stage: what is the same in two configurations of a pair is never made at the same time."""


@contextmanager
def outcomes_of(
    order: Order, devices: Sequence[Sequence[str]]
) -> Iterator[Callable[[Sequence[Unit]], Iterator[Outcome]]]:
    """What does units of one stage in processes that do stage after stage; outcomes come as they are ready.

    Args:
        order: The study.
        devices: For each process, the devices lent to its stages (none: those of the settings).
    """
    with Workers(_bench, (order,), [(names,) for names in devices], fewer="--workers") as workers:
        yield lambda units: (outcome for _, outcome in workers.do(units))


def share(devices: str, count: int) -> list[tuple[str, ...]]:
    """For each of `count` processes its part of ``cuda:0,cuda:1``, in turn; none where there is no choice."""
    names = [name.strip() for name in devices.split(",") if name.strip()]
    if len(names) < 2:
        return [()] * count
    if count >= len(names):
        return [(names[number % len(names)],) for number in range(count)]
    return [tuple(names[number::count]) for number in range(count)]


def _bench(order: Order, devices: Sequence[str]) -> Callable[[Unit], Outcome]:
    return Bench(order, devices=devices).do
