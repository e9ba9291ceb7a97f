"""Pieces of work in this process or in several, which end when the one that started them does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from animegen.errors import InterruptedRun, ResourceError

P = TypeVar("P")
R = TypeVar("R")


class WorkerKilled(ResourceError):
    """A process was ended by something other than its work."""


class Workers(Generic[P, R]):
    """Processes that are started once and do pieces of work until the block ends. A context manager.

    Each makes what does a piece when its first one comes: ``make(*arguments, *shares[n])`` in the n-th. All of it, and
    every piece and result, must be picklable.

    Args:
        make: Makes what does a piece; a function of a module.
        arguments: What it is made from.
        shares: For each process what it alone is given.
        fewer: The flag of the command that sets how many there are.
    """

    def __init__(
        self,
        make: Callable[..., Callable[[P], R]],
        arguments: Sequence[Any],
        shares: Sequence[Sequence[Any]],
        *,
        fewer: str = "--jobs",
    ) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context("spawn")  # a fork would share OpenCV's threads and a GPU's state
        numbers = context.SimpleQueue()
        for number in range(len(shares)):
            numbers.put(number)
        alive, self._mine = context.Pipe(duplex=False)
        opening = (make, tuple(arguments), tuple(shares), numbers, alive)
        self._fewer = fewer
        self._pool = ProcessPoolExecutor(len(shares), mp_context=context, initializer=_open, initargs=opening)

    def __enter__(self) -> Workers[P, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.abandon()

    def do(self, pieces: Sequence[P]) -> Iterator[tuple[P, R]]:
        """Each piece with what came of it, as they come.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            WorkerKilled: A process was killed.
        """
        from concurrent.futures import as_completed
        from concurrent.futures.process import BrokenProcessPool

        futures = {self._pool.submit(_do, piece): piece for piece in pieces}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise WorkerKilled(
                "a process was killed, most likely for want of memory; what is finished is kept.",
                hint=f"the same command goes on; with fewer {self._fewer} it needs less memory",
            ) from None
        except InterruptedRun:  # a worker was quicker than we
            raise KeyboardInterrupt from None
        finally:
            for future in futures:
                future.cancel()

    def abandon(self) -> None:
        """End every process now: nobody waits for what is half done."""
        self._mine.close()


def each(
    pieces: Sequence[P], make: Callable[..., Callable[[P], R]], arguments: Sequence[Any], jobs: int
) -> Iterator[tuple[P, R]]:
    """``make(*arguments, job, jobs)(piece)`` for each piece, with the piece, as they come.

    Args:
        pieces: What is to be done; it is gone on with another time where it is ended early.
        make: As for `Workers`, where there are several jobs.
        arguments: What it is made from. The number of the process, and how many there are, are added.
        jobs: Processes. One works in this process.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        WorkerKilled: A process was killed.
    """
    if not pieces:
        return
    jobs = min(jobs, len(pieces))
    if jobs == 1:
        work = make(*arguments, 0, 1)
        for piece in pieces:
            yield piece, work(piece)
        return
    with Workers(make, arguments, [(job, jobs) for job in range(jobs)]) as workers:
        try:
            yield from workers.do(pieces)
        except BaseException:
            workers.abandon()
            raise


_work: Callable[[Any], Any] | None = None
_make: Callable[[], Callable[[Any], Any]] | None = None


def _open(
    make: Callable[..., Any], arguments: tuple[Any, ...], shares: Sequence[Sequence[Any]], numbers: Any, alive: Any
) -> None:
    global _make
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a worker without work has nothing to say about Ctrl-C
    threading.Thread(target=_end_with_starter, args=(alive,), daemon=True).start()
    _make = partial(make, *arguments, *shares[numbers.get()])


def _end_with_starter(alive: Any) -> None:
    """End this process when the starter closes the other end of `alive`, or is killed, of which it tells nobody."""
    from multiprocessing.connection import wait

    wait([alive])
    os._exit(1)


def _do(piece: Any) -> Any:
    global _work
    assert _make is not None, "the pool runs the initializer first"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if _work is None:  # here and not in the initializer, whose errors would only break the pool
            _work = _make()
        return _work(piece)
    except (KeyboardInterrupt, InterruptedRun):
        raise InterruptedRun("stopped; what is finished is kept.") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
