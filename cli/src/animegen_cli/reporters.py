"""How a run is told: a bar on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from animegen.pipeline.progress import Reporter
from animegen_cli.console import Console, duration, one_line, paint

if TYPE_CHECKING:
    from animegen_cli.batch_work import Outcome

_EVERY = 10.0  # seconds between two lines about one step, where there is no bar
_AT_ONCE = 0.2  # seconds into a step up to which what is done was there before
_BAR_AFTER = 1.0  # seconds before a bar is worth its flicker
_EVENTS_EVERY = 0.1


def reporter_for(console: Console) -> NotesReporter:
    """The reporter of a console's style of progress."""
    style = console.progress_style
    if style == "json":
        return JsonReporter(console)
    if style == "none":
        return NotesReporter(console)
    return BarReporter(console) if style == "bar" else LineReporter(console)


class NotesReporter(Reporter):
    """The plan and warnings, without progress.

    Attributes:
        begun: Whether any step was begun; a finished run that is resumed has none.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.begun = False

    def started(self, number: int, total: int, name: str, detail: str) -> None:
        self.begun = True

    def close(self) -> None:
        """Leave a clean line behind, however the run ended."""

    def counted(self, done: int, name: str) -> None:
        """`done` of nobody knows how many, the last of them called `name`."""

    def plan(self, lines: Sequence[tuple[str, str]]) -> None:
        for label, text in lines:
            self.console.say(label, text)

    def warned(self, message: str) -> None:
        self.console.say("note", message)


class LineReporter(NotesReporter):
    """One line for each finished step, and one every ten seconds inside a long one."""

    head = ""
    detail = ""
    told = 0.0

    def started(self, number: int, total: int, name: str, detail: str) -> None:
        super().started(number, total, name, detail)
        self.head, self.detail, self.told = f"[{number}/{total}] {name:<12}", detail, time.monotonic()

    def progress(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        if now - self.told >= _EVERY:
            self.told = now
            self.console.line(f"{self.head} {done}/{total} {unit}")

    def counted(self, done: int, name: str) -> None:
        now = time.monotonic()
        if now - self.told >= _EVERY:
            self.told = now
            self.console.line(f"{self.head} {done}  {name}")

    def finished(self, name: str, summary: str, seconds: float, cached: bool) -> None:
        spent = "made before" if cached else duration(seconds)
        self.console.line(f"{self.head} {summary:<36} {spent:>12}")


class BarReporter(LineReporter):
    """The present step in place on a terminal: its name at once, a bar once it takes more than a second."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar: Any = None
        self._begun = 0.0
        self._there = 0  # what was done before the step began; it says nothing of its speed
        self._of: tuple[int, str] = (0, "")

    def started(self, number: int, total: int, name: str, detail: str) -> None:
        super().started(number, total, name, detail)
        self._begun, self._there = time.monotonic(), 0
        in_place(f"{self.head} {detail} ...")

    def progress(self, done: int, total: int, unit: str) -> None:
        spent = time.monotonic() - self._begun
        if spent < _AT_ONCE:
            self._there = done
        if spent < _BAR_AFTER:
            return
        if self._bar is None or self._of != (total, unit) or done < self._bar.n:
            self._drop_bar()
            self._bar, self._of = self._new_bar(min(self._there, done), total, unit), (total, unit)
        self._bar.update(done - self._bar.n)

    def counted(self, done: int, name: str) -> None:
        in_place(f"{self.head} {done}  {name} ...")

    def _new_bar(self, there: int, total: int, unit: str) -> Any:
        from tqdm import tqdm

        shown = "{desc} {bar:20} {n_fmt}/{total_fmt} " + unit + "  {elapsed}, {remaining} to go"
        bar = tqdm(
            total=total,
            initial=there,
            desc=self.head,
            file=sys.stderr,
            leave=False,
            bar_format=shown,
            dynamic_ncols=True,
            delay=1e-9,  # do not draw before it knows how far things are
        )
        bar.start_t -= time.monotonic() - self._begun  # it counts from the step's begin, not from its own
        bar.last_print_t = bar.start_t
        return bar

    def finished(self, name: str, summary: str, seconds: float, cached: bool) -> None:
        self.close()
        super().finished(name, summary, seconds, cached)

    def warned(self, message: str) -> None:
        self.close()
        super().warned(message)

    def close(self) -> None:
        self._drop_bar()
        in_place("")

    def _drop_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def in_place(text: str) -> None:
    """Put `text` where the cursor's line is, cut to its width; an empty text clears the line."""
    shown = text[: shutil.get_terminal_size().columns - 1]
    print(f"\r\x1b[K{paint(shown, '2') if shown else ''}", end="", file=sys.stderr, flush=True)


class JsonReporter(NotesReporter):
    """One JSON object a line: started, progress, finished, note."""

    stage = ""
    told = 0.0

    def started(self, number: int, total: int, name: str, detail: str) -> None:
        super().started(number, total, name, detail)
        self.stage, self.told = name, 0.0
        self.console.event("started", stage=name, step=number, steps=total, detail=detail)

    def progress(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        if done >= total or now - self.told >= _EVENTS_EVERY:
            self.told = now
            self.console.event("progress", stage=self.stage, done=done, total=total, unit=unit)

    def counted(self, done: int, name: str) -> None:
        now = time.monotonic()
        if now - self.told >= _EVENTS_EVERY:
            self.told = now
            self.console.event("progress", stage=self.stage, done=done, total=None, page=name)

    def finished(self, name: str, summary: str, seconds: float, cached: bool) -> None:
        self.console.event("finished", stage=name, summary=summary, seconds=round(seconds, 3), cached=cached)


def batch_reporter_for(console: Console, total: int) -> BatchReporter:
    """The reporter of a batch in a console's style of progress."""
    kinds = {"json": BatchEvents, "none": BatchErrors, "bar": BatchBar}
    return kinds.get(console.progress_style, BatchReporter)(console, total)


class BatchReporter(NotesReporter):
    """One line for each pair that is finished, whatever became of it."""

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(console)
        self.total = total

    def pair(self, number: int, name: str) -> None:
        """Pair `number` begins."""

    def waiting(self, finished: int, jobs: int) -> None:
        """Several processes are at work, and `finished` pairs are finished."""

    def outcome(self, number: int, total: int, outcome: Outcome) -> None:
        """One more pair is finished, the `number`-th to be so."""
        said = {"done": duration(outcome.seconds), "skipped": "made before", "failed": "failed"}[outcome.status]
        result = outcome.document.get("clip", outcome.error)
        self.console.line(f"[{number}/{total}] {outcome.item.id:<28} {said:>12}   {one_line(result)}")
        for message in outcome.warnings:
            self.console.line(f"{'':<{len(f'[{number}/{total}]')}} note: {message}")


class BatchErrors(BatchReporter):
    """Pairs that failed, and nothing else."""

    def outcome(self, number: int, total: int, outcome: Outcome) -> None:
        if outcome.status == "failed":
            self.console.line(f"[{number}/{total}] {outcome.item.id}: failed: {one_line(outcome.error)}")


class BatchBar(BatchReporter):
    """As lines, and the present step in place below them."""

    head = step = ""
    told = 0.0

    def pair(self, number: int, name: str) -> None:
        self.head = f"[{number}/{self.total}] {name}"
        in_place(f"{self.head} ...")

    def started(self, number: int, total: int, name: str, detail: str) -> None:
        self.step = name
        in_place(f"{self.head}  {name}  {detail} ...")

    def progress(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        if now - self.told >= _EVENTS_EVERY:
            self.told = now
            in_place(f"{self.head}  {self.step}  {done}/{total} {unit}")

    def waiting(self, finished: int, jobs: int) -> None:
        in_place(f"[{finished}/{self.total}] {jobs} processes at work ...")

    def outcome(self, number: int, total: int, outcome: Outcome) -> None:
        self.close()
        super().outcome(number, total, outcome)

    def close(self) -> None:
        in_place("")


class BatchEvents(BatchReporter):
    """One JSON object a line for each pair."""

    def pair(self, number: int, name: str) -> None:
        self.console.event("pair", id=name, number=number, total=self.total)

    def outcome(self, number: int, total: int, outcome: Outcome) -> None:
        self.console.event("outcome", finished=number, total=total, **outcome.facts())
