"""A bounded queue between threads that ends for all of them at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK = 0.05  # seconds between two looks at whether everything is to stop, while a thread waits


class Stopped(BaseException):
    """Another thread failed, or the user stopped: leave off. (No Exception: no stage's error handling may eat it.)"""


class Channel(Generic[T]):
    """Items from one thread to another, in order, never more than `size` waiting.

    Args:
        size: Items that may wait.
        stop: Once set, whoever waits here is sent away with `Stopped`.
    """

    def __init__(self, size: int, stop: threading.Event) -> None:
        self._items: queue.Queue[tuple[T] | None] = queue.Queue(size)
        self._stop = stop

    def put(self, item: T) -> None:
        """Hand an item over; waits while the channel is full."""
        self._put((item,))

    def close(self) -> None:
        """Say that no item follows. Every reader of the channel is told."""
        self._put(None)

    def _put(self, item: tuple[T] | None) -> None:
        while not self._stop.is_set():
            try:
                self._items.put(item, timeout=_LOOK)
                return
            except queue.Full:
                continue
        raise Stopped

    def __iter__(self) -> Iterator[T]:
        while not self._stop.is_set():
            try:
                item = self._items.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if item is None:
                self._put(None)  # for the next reader
                return
            yield item[0]
        raise Stopped
