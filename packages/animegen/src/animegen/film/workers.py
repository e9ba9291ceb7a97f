"""Threads that make a film: one reads, one for each device draws, one beside each of those writes.

Segments are handed out in turn. What is in memory is bounded: a few gaps ahead of each drawing thread, a few frames
ahead of each writing one. Every drawn frame lies in its segment's spool before the next is begun.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from animegen.errors import ResourceError
from animegen.film.channel import Channel, Stopped
from animegen.film.parts import Encoder, Parts, split
from animegen.pipeline.store import disk_error

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen.upsampling.fill import Drawn
    from animegen.upsampling.timeline import GapPlan, Output

AHEAD = 4
"""Gaps that wait for a drawing thread, and frames that wait for a writing one."""
_TICK = 0.1  # seconds between two reports


@dataclass
class Meter:
    """What has been done so far; any thread adds to it.

    Attributes:
        drawn: Frames that the stage drew.
        copied: Frames of the source that were handed on.
        kept: Frames that an earlier, broken run had made.
        seconds: Time spent in each part, waiting left out; several threads of one part add up.
    """

    drawn: int = 0
    copied: int = 0
    kept: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"reading": 0.0, "drawing": 0.0, "writing": 0.0})
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def done(self) -> int:
        """Frames of the result that are finished."""
        return self.drawn + self.copied + self.kept

    def count(self, *, drawn: int = 0, copied: int = 0, kept: int = 0) -> None:
        with self._lock:
            self.drawn, self.copied, self.kept = self.drawn + drawn, self.copied + copied, self.kept + kept

    def spent(self, part: str, seconds: float) -> None:
        with self._lock:
            self.seconds[part] += seconds

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.spent(part, time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class Task:
    """One segment to make: its number, and its gaps as they are read."""

    number: int
    plans: Channel[GapPlan]


Draw = Callable[[Iterable["GapPlan"], Callable[[int], bool]], Iterator["Drawn"]]
"""``draw(plans, wanted)``: the frames of some gaps, one stage's `animegen.upsampling.fill.fill`."""


class Crew:
    """The threads of one film.

    Args:
        parts: Where segments and spools lie.
        draws: How to draw, one for each thread that does.
        encoder: Writes a segment.
        meter: Told what is done.
    """

    def __init__(self, parts: Parts, draws: Sequence[Draw], encoder: Encoder, meter: Meter) -> None:
        self._parts, self._draws, self._encoder, self._meter = parts, draws, encoder, meter
        self._stop = threading.Event()
        # One thread that draws never waits for the reader. Several do, unless each has a whole segment to itself.
        self._ahead = AHEAD if len(draws) == 1 else parts.length + 1
        self._tasks: Channel[Task] = Channel(1, self._stop)
        self._errors: list[BaseException] = []
        self.total = 0

    def run(self, plans: Iterable[GapPlan], tick: Callable[[], None] = lambda: None) -> int:
        """Make every segment of `plans` that is not there yet.

        Args:
            plans: The film, gap by gap.
            tick: Called from this thread ten times a second.

        Returns:
            How many frames the film has.

        Raises:
            KeyboardInterrupt: Ctrl-C; whatever was drawn is kept.
            AnimeGenError: Whatever ended a thread.
        """
        threads = [self._thread("reading", self._read, plans)]
        for number, draw in enumerate(self._draws):
            written: Channel[tuple[int, Channel[tuple[Image, Output]]]] = Channel(1, self._stop)
            threads.append(self._thread(f"drawing-{number}", self._draw, draw, written))
            threads.append(self._thread(f"writing-{number}", self._write, written))
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(_TICK)
                    tick()
        finally:
            self._stop.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        if self._errors:
            raise self._errors[0]
        return self.total

    def _thread(self, name: str, work: Callable[..., None], *args: Any) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*args)
            except Stopped:
                pass
            except BaseException as error:  # it is raised again where the film was asked for
                self._errors.append(_said(error, name.partition("-")[0], self._parts))
                self._stop.set()

        return threading.Thread(target=guarded, name=f"animegen-{name}", daemon=True)

    def _read(self, plans: Iterable[GapPlan]) -> None:
        """Hand out the gaps by segment. Pictures are made here, so that the drawing threads need not."""
        task, segment = None, -1
        iterator = iter(plans)
        while True:
            with self._meter.timed("reading"):
                plan = next(iterator, None)
            if plan is None:
                break
            numbers = [output.number for output in plan.outputs]
            for number, part in split(numbers, self._parts.length):
                outputs = plan.outputs[part]
                if number != segment:
                    if task:
                        task.plans.close()
                    segment, task = number, self._begin(number)
                self.total = outputs[-1].number + 1
                if task is None:
                    self._meter.count(kept=len(outputs))
                    continue
                with self._meter.timed("reading"):
                    _make_pictures(plan, outputs)
                task.plans.put(replace(plan, outputs=outputs))
        if task:
            task.plans.close()
        self._tasks.close()

    def _begin(self, number: int) -> Task | None:
        """Hand out segment `number`; None where it is there already."""
        if self._parts.done(number):
            return None
        task = Task(number, Channel(self._ahead, self._stop))
        self._tasks.put(task)
        return task

    def _draw(self, draw: Draw, written: Channel[tuple[int, Channel[tuple[Image, Output]]]]) -> None:
        for task in self._tasks:
            frames: Channel[tuple[Image, Output]] = Channel(AHEAD, self._stop)
            written.put((task.number, frames))
            for item in self._frames(task, draw):
                frames.put(item)
            frames.close()
        written.close()

    def _frames(self, task: Task, draw: Draw) -> Iterator[tuple[Image, Output]]:
        """The frames of a segment in order: from the spool of a broken run, of the source, and drawn."""
        spool = self._parts.spool(task.number)
        spooled = spool.numbers()
        outputs: deque[Output] = deque()  # those of the gaps that drawing has asked for so far
        waited = 0.0

        def plans() -> Iterator[GapPlan]:
            nonlocal waited
            iterator = iter(task.plans)
            while True:
                started = time.perf_counter()
                plan = next(iterator, None)
                waited += time.perf_counter() - started
                if plan is None:
                    return
                outputs.extend(plan.outputs)
                yield plan

        def before(number: int | None) -> Iterator[tuple[Image, Output]]:
            """The spooled ones that come before `number`."""
            while outputs and outputs[0].number != number:
                output = outputs.popleft()
                image = spool.get(output.number)
                assert image is not None, f"output {output.number} was neither drawn nor spooled"
                self._meter.count(kept=1)
                yield image, output

        with closing(_generator(draw(plans(), lambda number: number not in spooled))) as drawing:
            while True:
                started, waited = time.perf_counter(), 0.0
                drawn = next(drawing, None)
                self._meter.spent("drawing", time.perf_counter() - started - waited)
                if drawn is None:
                    break
                yield from before(drawn.number)
                if drawn.source is None:
                    with self._meter.timed("writing"):
                        spool.put(drawn.number, drawn.image)
                self._meter.count(drawn=drawn.source is None, copied=drawn.source is not None)
                yield drawn.image, outputs.popleft()
        yield from before(None)

    def _write(self, segments: Channel[tuple[int, Channel[tuple[Image, Output]]]]) -> None:
        for number, frames in segments:
            with self._parts.write(number, self._timed_encoder) as put:
                for image, output in frames:
                    with self._meter.timed("writing"):
                        put(image, output.time)

    @contextmanager
    def _timed_encoder(self, path: Any) -> Iterator[Callable[[Image, Fraction], None]]:
        encoder = self._encoder(path)
        with self._meter.timed("writing"):
            put = encoder.__enter__()
        try:
            yield put
        except BaseException as error:
            encoder.__exit__(type(error), error, error.__traceback__)
            raise
        with self._meter.timed("writing"):
            encoder.__exit__(None, None, None)


def _make_pictures(plan: GapPlan, outputs: Sequence[Output]) -> None:
    gap = plan.gap
    gap.first.image()
    if gap.last is not None and not gap.still and any(output.t for output in outputs):
        gap.last.image()


def _generator(drawing: Iterator[Drawn]) -> Any:
    """`drawing` as something that can be closed, so that a stage's own `finally` runs in its own thread."""
    if hasattr(drawing, "close"):
        return drawing

    def all_of_it() -> Iterator[Drawn]:
        yield from drawing

    return all_of_it()


def _said(error: BaseException, part: str, parts: Parts) -> BaseException:
    """An error in words, where the system's own are not enough."""
    if isinstance(error, MemoryError):
        return ResourceError(
            f"out of memory while {part}.",
            hint="close other programs; what is finished is kept, and the same command with --resume goes on from it",
        )
    if isinstance(error, OSError) and error.errno is not None:
        said = disk_error(error, parts.folder)
        said.__cause__ = error
        return said
    return error
