"""Pieces of work in this process or in several, which end when the one that started them does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from animegen.errors import InterruptedRun, ResourceError

P = TypeVar("P")
R = TypeVar("R")


def each(
    pieces: Sequence[P], make: Callable[..., Callable[[P], R]], arguments: Sequence[Any], jobs: int
) -> Iterator[tuple[P, R]]:
    """``make(*arguments, job, jobs)(piece)`` for each piece, with the piece, as they come.

    Args:
        pieces: What is to be done; with several jobs they, and all results, must be picklable.
        make: Makes what does a piece, once in each process; with several jobs a function of a module.
        arguments: What it is made from. The number of the process, and how many there are, are added.
        jobs: Processes. One works in this process.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        ResourceError: A process was killed.
    """
    jobs = min(jobs, len(pieces))
    if jobs > 1:
        yield from _in_processes(pieces, make, arguments, jobs)
        return
    work = make(*arguments, 0, 1) if pieces else None
    for piece in pieces:
        assert work is not None
        yield piece, work(piece)


def _in_processes(
    pieces: Sequence[P], make: Callable[..., Callable[[P], R]], arguments: Sequence[Any], jobs: int
) -> Iterator[tuple[P, R]]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")  # a fork would share OpenCV's threads and a GPU's state
    numbers = context.SimpleQueue()
    for number in range(jobs):
        numbers.put(number)
    alive, mine = context.Pipe(duplex=False)
    opening = (make, tuple(arguments), numbers, jobs, alive)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_open, initargs=opening) as pool:
        futures = {pool.submit(_do, piece): piece for piece in pieces}
        left = True
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
            left = False
        except BrokenProcessPool:
            raise ResourceError(
                "a process was killed, most likely for want of memory; what is finished is kept.",
                hint="the same command goes on; with fewer --jobs it needs less memory",
            ) from None
        except InterruptedRun:  # a worker was quicker than we
            raise KeyboardInterrupt from None
        finally:
            for future in futures:
                future.cancel()
            if left:  # nobody waits for what is half done: it is gone on with another time
                mine.close()


_work: Callable[[Any], Any] | None = None
_opening: tuple[Callable[..., Any], tuple[Any, ...], int, int] | None = None


def _open(make: Callable[..., Any], arguments: tuple[Any, ...], numbers: Any, jobs: int, alive: Any) -> None:
    global _opening
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a worker without work has nothing to say about Ctrl-C
    threading.Thread(target=_end_with_starter, args=(alive,), daemon=True).start()
    _opening = (make, arguments, numbers.get(), jobs)


def _end_with_starter(alive: Any) -> None:
    """End this process when the starter closes the other end of `alive`, or is killed, of which it tells nobody."""
    from multiprocessing.connection import wait

    wait([alive])
    os._exit(1)


def _do(piece: Any) -> Any:
    global _work
    assert _opening is not None, "the pool runs the initializer first"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if _work is None:  # here and not in the initializer, whose errors would only break the pool
            make, arguments, number, jobs = _opening
            _work = make(*arguments, number, jobs)
        return _work(piece)
    except (KeyboardInterrupt, InterruptedRun):
        raise InterruptedRun("stopped; what is finished is kept.") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
