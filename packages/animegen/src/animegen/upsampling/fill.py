"""From a plan to pictures: frames of the source as they are, a stage for what lies between them.

The same code serves the sixteen frames of a generated clip and a film of two hours: one gap after the other, with no
more in memory than the gap at hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from animegen.pipeline.boundary import Unchanged, check_frames
from animegen.stages import Interpolator, InterpolatorSpec, SequenceInterpolator
from animegen.upsampling.alpha import premultiply, unpremultiply
from animegen.upsampling.bars import Bars, find_bars, keep_bars

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.upsampling.frames import SourceFrame
    from animegen.upsampling.timeline import GapPlan, Output

SLICE = 8
"""Frames asked of a stage at once: what a kill can cost, and what memory holds."""


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """One frame of the result.

    Attributes:
        number: Its number, from 0.
        time: When it is shown, in seconds.
        image: (H, W, 3) or (H, W, 4) uint8, not to be written to: a copied frame is the source's own array.
        source: Number of the source's frame that it is, bit for bit; None where it was drawn.
    """

    number: int
    time: Fraction
    image: Image
    source: int | None


def fill(
    name: str,
    spec: InterpolatorSpec,
    stage: Interpolator,
    plans: Iterable[GapPlan],
    *,
    wanted: Callable[[int], bool] | None = None,
    bars: bool = True,
) -> Iterator[Drawn]:
    """Make every output of `plans`, in order.

    Where there is alpha, a stage that carries it sees premultiplied RGBA; another draws premultiplied colours and
    alpha one after the other. A pair without transparency is drawn like any other.

    Args:
        name: The stage's name, for errors.
        spec: Its record.
        stage: An interpolator for any time; its sequence call is used when it has one.
        plans: Gaps with their outputs, taken as they are needed.
        wanted: Whether an output is needed, by its number (a run that goes on after a kill has the others). What is
            not costs nothing: neither is the stage called nor the source's picture made.
        bars: Whether black bars are kept clean.

    Raises:
        StageError: The stage broke its promise.
    """
    picked = (
        _Task(plan, tuple(output for output in plan.outputs if wanted is None or wanted(output.number)))
        for plan in plans
    )
    tasks = _Peekable(picked)
    painter = _Painter(name, spec, stage)
    cleaner = _Bars() if bars else None
    while (task := tasks.peek()) is not None:
        if not task.between:
            tasks.take()
            yield from (task.copy(output) for output in task.outputs)
            continue
        for chained, pictures in painter.chain(tasks):
            for output in chained.outputs:
                if chained.is_copy(output):
                    yield chained.copy(output)
                    continue
                image = next(pictures)
                if cleaner:
                    image = cleaner.clean(image, *chained.images(), float(output.t))
                yield Drawn(output.number, output.time, image, None)


@dataclass(frozen=True, eq=False)
class _Task:
    """A gap with the outputs that are wanted of it."""

    plan: GapPlan
    outputs: tuple[Output, ...]

    def is_copy(self, output: Output) -> bool:
        return self.plan.gap.still or output.t == 0

    def copy(self, output: Output) -> Drawn:
        first = self.plan.gap.first
        return Drawn(output.number, output.time, first.image(), first.index)

    @property
    def between(self) -> tuple[float, ...]:
        """Times to be drawn."""
        return tuple(float(output.t) for output in self.outputs if not self.is_copy(output))

    @property
    def frames(self) -> tuple[SourceFrame, SourceFrame]:
        gap = self.plan.gap
        assert gap.last is not None  # only a still gap leads nowhere
        return gap.first, gap.last

    def images(self) -> tuple[Image, Image]:
        first, last = self.frames
        return first.image(), last.image()


class _Peekable:
    """Tasks, of which the next can be looked at before it is taken."""

    def __init__(self, tasks: Iterator[_Task]) -> None:
        self._tasks = tasks
        self._next: _Task | None = None

    def peek(self) -> _Task | None:
        if self._next is None:
            self._next = next(self._tasks, None)
        return self._next

    def take(self) -> None:
        self._next = None


class _Painter:
    """Has a stage draw: pads, cuts into slices, and takes care of alpha."""

    def __init__(self, name: str, spec: InterpolatorSpec, stage: Interpolator) -> None:
        self._name, self._stage = name, stage
        self._carries_alpha = spec.carries_alpha
        self._multiple_of = spec.needs.multiple_of
        self._prepared: deque[tuple[Image, tuple[Image, ...]]] = deque(maxlen=2)  # both ends of the gap at hand

    def chain(self, tasks: _Peekable) -> Iterator[tuple[_Task, Iterator[Image]]]:
        """Draw gaps as long as each begins where the one before ends; at least one."""
        task = tasks.peek()
        assert task is not None
        image = task.plan.gap.first.image()
        if isinstance(self._stage, SequenceInterpolator) and (image.shape[2] == 3 or self._carries_alpha):
            yield from self._sequence(self._stage, tasks)
            return
        tasks.take()
        yield task, self._pair(*task.images(), task.between)

    def _pair(self, first: Image, last: Image, times: Sequence[float]) -> Iterator[Image]:
        size, channels = first.shape[:2], first.shape[2]
        pair = list(zip(self._prepare(first), self._prepare(last), strict=True))
        # Alpha that stands still needs no drawing.
        alpha = first[..., 3] if len(pair) == 2 and np.array_equal(first[..., 3], last[..., 3]) else None
        for part in _slices(times):
            if len(pair) == 1:
                yield from self._finish(self._call(*pair[0], part), len(part), size, channels)
                continue
            drawn = self._crop(self._call(*pair[0], part), len(part), 3, size)
            if alpha is None:
                moved = self._crop(self._call(*pair[1], part), len(part), 3, size)[..., 1]
            else:
                moved = np.broadcast_to(alpha, drawn.shape[:3])
            yield from unpremultiply(drawn, moved)

    def _call(self, first: Image, last: Image, times: Sequence[float]) -> Frames:
        with Unchanged(self._name, first, last):
            return self._stage(first, last, times)

    def _sequence(self, stage: SequenceInterpolator, tasks: _Peekable) -> Iterator[tuple[_Task, Iterator[Image]]]:
        feed = _Feed(tasks, lambda image: self._prepare(image)[0])
        answers = stage.sequence(feed.images(), feed.times())

        def pictures(asked: Sequence[int], like: Image) -> Iterator[Image]:
            for count in asked:
                answer = next(answers, None)
                if count:
                    yield from self._finish(answer, count, like.shape[:2], like.shape[2])

        while (work := feed.next_task()) is not None:
            task, asked = work
            yield task, pictures(asked, task.plan.gap.first.image())
        for _ in answers:  # lets the stage put its things away
            pass

    def _prepare(self, image: Image) -> tuple[Image, ...]:
        """`image` as the stage is to see it: at once, or colours and alpha (as grey) apart.

        Both gaps of an image get the same arrays: stages know images again by them.
        """
        for source, prepared in self._prepared:
            if source is image:
                return prepared
        whole = premultiply(image) if image.shape[2] == 4 else image
        parts = [whole]
        if image.shape[2] == 4 and not self._carries_alpha:
            parts = [np.ascontiguousarray(whole[..., :3]), np.repeat(whole[..., 3:], 3, axis=2)]
        result = tuple(_pad(part, self._multiple_of) for part in parts)
        self._prepared.append((image, result))
        return result

    def _finish(self, frames: object, count: int, size: tuple[int, ...], channels: int) -> Iterator[Image]:
        cropped = self._crop(frames, count, channels, size)
        yield from cropped if channels == 3 else unpremultiply(cropped[..., :3], cropped[..., 3])

    def _crop(self, frames: object, count: int, channels: int, size: tuple[int, ...]) -> Frames:
        height, width = size
        shape = (_up(height, self._multiple_of), _up(width, self._multiple_of), channels)
        return np.ascontiguousarray(check_frames(self._name, frames, count, shape)[:, :height, :width])


class _Feed:
    """What a sequence call is fed with: as far as each gap begins where the one before ends.

    The stage may take images and times in any order and as far ahead as it likes; tasks are taken as it does.
    A gap with more times than go into one call is shown as often as it takes, there and back again.
    """

    def __init__(self, tasks: _Peekable, prepare: Callable[[Image], Image]) -> None:
        self._tasks, self._prepare = tasks, prepare
        self._images: deque[Image] = deque()
        self._times: deque[Sequence[float]] = deque()
        self._begun: deque[tuple[_Task, list[int]]] = deque()
        self._last: SourceFrame | None = None
        self._advance()

    def _advance(self) -> bool:
        """Take one more task; False at the end of the chain."""
        task = self._tasks.peek()
        if task is None or not task.between or (self._last is not None and task.plan.gap.first is not self._last):
            return False
        self._tasks.take()
        first, last = (self._prepare(image) for image in task.images())
        if self._last is None:
            self._images.append(first)
        asked: list[int] = []
        for part in _slices(task.between):
            if asked:  # back to where the gap begins, drawing nothing on the way
                self._images.append(first)
                self._times.append(())
                asked.append(0)
            self._images.append(last)
            self._times.append(part)
            asked.append(len(part))
        self._last = task.frames[1]
        self._begun.append((task, asked))
        return True

    def images(self) -> Iterator[Image]:
        while self._images or self._advance():
            yield self._images.popleft()

    def times(self) -> Iterator[Sequence[float]]:
        while self._times or self._advance():
            yield self._times.popleft()

    def next_task(self) -> tuple[_Task, list[int]] | None:
        """The next task, with how many frames are asked for in each of its calls."""
        return self._begun.popleft() if self._begun or self._advance() else None


class _Bars:
    """Keeps bars clean; each frame is looked at once."""

    def __init__(self) -> None:
        self._found: deque[tuple[Image, Bars]] = deque(maxlen=2)

    def clean(self, image: Image, first: Image, last: Image, t: float) -> Image:
        common = self._of(first).common(self._of(last))
        return keep_bars(image, first if t < 0.5 else last, common) if common.any else image

    def _of(self, image: Image) -> Bars:
        for known, bars in self._found:
            if known is image:
                return bars
        bars = find_bars(image)
        self._found.append((image, bars))
        return bars


def _slices(times: Sequence[float]) -> Iterator[Sequence[float]]:
    for start in range(0, len(times), SLICE):
        yield times[start : start + SLICE]


def _up(length: int, multiple_of: int) -> int:
    return -(-length // multiple_of) * multiple_of


def _pad(image: Image, multiple_of: int) -> Image:
    """`image` with its edge repeated, right and below, up to a multiple."""
    height, width = image.shape[:2]
    bottom, right = _up(height, multiple_of) - height, _up(width, multiple_of) - width
    return np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else image
