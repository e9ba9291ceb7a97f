"""Items in several processes, each with models of its own and devices of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from animegen.errors import InterruptedRun, ResourceError
from animegen_eval.ablation.plan import Item
from animegen_eval.ablation.work import Bench, Order, Outcome

Unit = Sequence[Item]
"""Items of one pair and one stage: what is the same in two configurations of a pair is never made at the same time."""


class Workers:
    """Processes that are started once and do stage after stage. A context manager.

    A process ends when the one that started it does, however that ended: no orphan holds a device's memory.

    Args:
        order: The study.
        devices: For each process, the devices lent to its stages (none: those of the settings).
    """

    def __init__(self, order: Order, devices: Sequence[Sequence[str]]) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context("spawn")  # a fork would share OpenCV's threads and a GPU's state
        lent = context.SimpleQueue()
        for names in devices:
            lent.put(tuple(names))
        self._pool = ProcessPoolExecutor(
            len(devices), mp_context=context, initializer=_open, initargs=(order, lent, os.getpid())
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def do(self, units: Sequence[Unit]) -> Iterator[Outcome]:
        """Outcomes of units of one stage as they come.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            ResourceError: A process was killed.
        """
        from concurrent.futures import as_completed
        from concurrent.futures.process import BrokenProcessPool

        futures = [self._pool.submit(_do, tuple(unit)) for unit in units]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise ResourceError(
                "a process was killed, most likely for want of memory; what is finished is kept.",
                hint="the same command goes on; with fewer --workers it needs less memory",
            ) from None
        except InterruptedRun:  # a worker was quicker than we
            raise KeyboardInterrupt from None
        finally:
            for future in futures:
                future.cancel()


def share(devices: str, count: int) -> list[tuple[str, ...]]:
    """For each of `count` processes its part of ``cuda:0,cuda:1``, in turn; none where there is no choice."""
    names = [name.strip() for name in devices.split(",") if name.strip()]
    if len(names) < 2:
        return [()] * count
    if count >= len(names):
        return [(names[number % len(names)],) for number in range(count)]
    return [tuple(names[number::count]) for number in range(count)]


_bench: Bench | None = None


def _open(order: Order, lent: Any, parent: int) -> None:
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a worker without work has nothing to say about Ctrl-C
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _bench = Bench(order, devices=lent.get())


def _end_with(parent: int) -> None:
    """A killed parent tells nobody; what this process leaves half done is done again by the next run."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    if (starter := parent_process()) is not None:
        wait([starter.sentinel])
    os._exit(1)


def _do(unit: Unit) -> Outcome:
    assert _bench is not None, "the pool runs the initializer first"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _bench.do(unit)
    except (KeyboardInterrupt, InterruptedRun):
        raise InterruptedRun("stopped; every finished result is kept.") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
