"""Progress of a file that arrives, is copied or is verified."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from animegen_cli.console import Console, size

_EVERY = 10.0
_EVENTS_EVERY = 0.5
_BAR_AFTER = 1.0

Progress = Callable[[int, "int | None", str], None]


@contextmanager
def transfer(console: Console, name: str) -> Iterator[Progress]:
    """A callback ``progress(done, total, step)`` that is shown as the console wants it."""
    shown = {"bar": _Bar, "plain": _Lines, "json": _Events}.get(console.progress_style, _Silent)(console, name)
    try:
        yield shown.progress
    finally:
        shown.close()


class _Silent:
    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name = console, name
        self.told = time.monotonic()

    def progress(self, done: int, total: int | None, step: str) -> None:
        pass

    def close(self) -> None:
        pass

    def due(self, seconds: float) -> bool:
        now = time.monotonic()
        if now - self.told < seconds:
            return False
        self.told = now
        return True


class _Lines(_Silent):
    def progress(self, done: int, total: int | None, step: str) -> None:
        if self.due(_EVERY):
            self.console.say(step, f"{self.name}   {size(done)}{f' of {size(total)}' if total else ''}")


class _Events(_Silent):
    def progress(self, done: int, total: int | None, step: str) -> None:
        if self.due(_EVENTS_EVERY) or done == total:
            self.console.event("progress", stage=step, file=self.name, done=done, total=total, unit="bytes")


class _Bar(_Silent):
    bar: Any = None
    step = ""

    def progress(self, done: int, total: int | None, step: str) -> None:
        if self.bar is None or step != self.step:
            if self.bar is None and not self.due(_BAR_AFTER):
                return
            self.close()
            from tqdm import tqdm

            self.step = step
            self.bar = tqdm(
                total=total,
                initial=done,
                desc=f"{step:<7} {self.name}",
                file=sys.stderr,
                leave=False,
                unit="B",
                unit_scale=True,
                dynamic_ncols=True,
            )
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
