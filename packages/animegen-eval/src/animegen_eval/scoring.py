"""Items and metrics to values: from the cache, or measured, piece by piece where the metric allows it.

Memory: decoded clips are held up to `HELD` bytes together; a clip that alone is more is read in pieces of at most
`WINDOW` bytes, which share a frame, unless a metric must see it whole. `need` states what that comes to beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.errors import AnimeGenError, MissingError, StageError
from animegen.measuring import Missing, Quantity, Sample, Value
from animegen.pipeline.boundary import Unchanged
from animegen.pipeline.hashing import json_digest
from animegen.pipeline.progress import Reporter
from animegen.stages import MetricSpec
from animegen_eval.cache import SCHEMA, Measured, ScoreCache
from animegen_eval.items import Item, Shown
from animegen_eval.metrics import ChosenMetric, opened
from animegen_eval.samples.pictures import windows

if TYPE_CHECKING:
    from animegen.media import Frames
    from animegen.weights.store import WeightStore

HELD = 768 * 2**20
"""Bytes of decoded clips that are held for the next metric or control."""
WINDOW = 256 * 2**20
"""Bytes of a piece of a clip, true frames included."""


@dataclass(frozen=True)
class Failed(Missing):
    """There is no value because something broke; unlike what cannot be measured, it makes an evaluation fail."""


@dataclass(frozen=True, eq=False)
class Score:
    """What one metric says of one item.

    Attributes:
        item: The item.
        metric: The metric.
        measured: Its answer, by quantity.
        shifted: The same for the frames a step earlier (-1) and later (1); only for tolerant variants.
        cached: Whether all of it was measured before.
    """

    item: Item
    metric: ChosenMetric
    measured: Measured
    shifted: Mapping[int, Measured] = field(default_factory=dict)
    cached: bool = False


class Scorer:
    """Measures items: with all metrics that need no weights at once, then with one after the other of those that do,
    so that a clip is seldom decoded or drawn twice, and no two models lie in memory together.

    Args:
        cache: Where answers are kept.
        weights: Where weights lie.
        reporter: Told what happens.
        window: Bytes of a piece of a clip.

    Attributes:
        missing: By name, the metrics whose weights or libraries are not here; their values are
            `animegen.measuring.Missing`, but for those that were measured before.
    """

    def __init__(
        self, cache: ScoreCache, weights: WeightStore, reporter: Reporter | None = None, *, window: int = WINDOW
    ) -> None:
        self._cache, self._weights, self._window = cache, weights, window
        self.reporter = reporter or Reporter()
        self.missing: dict[str, MissingError] = {}

    def score(self, items: Sequence[Item], metrics: Sequence[ChosenMetric]) -> Iterator[Score]:
        """A score for each item and metric that has a number for it. What breaks is `Failed`, for that item alone."""
        light = [metric for metric in metrics if not metric.spec.weights]
        groups = [*([light] if light else []), *([metric] for metric in metrics if metric.spec.weights)]
        for number, group in enumerate(groups, start=1):
            yield from self._together(group, items, number, len(groups))

    def _together(
        self, metrics: Sequence[ChosenMetric], items: Sequence[Item], number: int, total: int
    ) -> Iterator[Score]:
        import time

        work = [(item, metric) for item in items for metric in metrics if _measures(metric, item)]
        name = metrics[0].stage.name if len(metrics) == 1 else f"{len(metrics)} metrics"
        self.reporter.started(number, total, name, f"{len(work)} scores")
        started, before = time.perf_counter(), 0
        workers = {metric.stage.full_name: _Worker(metric, self._weights, self.reporter) for metric in metrics}
        try:
            for done, (item, metric) in enumerate(work, start=1):
                score = self._one(metric, item, workers[metric.stage.full_name])
                before += score.cached
                self.reporter.progress(done, len(work), "scores")
                yield score
        finally:
            for worker in workers.values():
                worker.close()
        kept = f", {before} measured before" if before else ""
        spent = time.perf_counter() - started
        self.reporter.finished(name, f"{len(work)} scores{kept}", spent, before == len(work))

    def _one(self, metric: ChosenMetric, item: Item, worker: _Worker) -> Score:
        cached = True
        answers: dict[int, Measured] = {}
        tolerant = _is_tolerant(metric, item)
        for by in (0, -1, 1) if tolerant else (0,):
            shown = item.shown.shifted(by) if by else item.shown
            try:
                answers[by], known = self._answer(metric, shown, worker)
            except MissingError as error:
                self.missing[metric.stage.name] = error
                answers[by], known = self._nothing(metric, Missing(error.message)), False
            except AnimeGenError as error:
                answers[by], known = self._nothing(metric, Failed(error.message)), False
            cached = cached and known
        measured = _without_own_ends(answers.pop(0), item)
        return Score(item, metric, measured, answers, cached)

    def _answer(self, metric: ChosenMetric, shown: Shown, worker: _Worker) -> tuple[Measured, bool]:
        shown = shown.for_metric(metric.spec)
        key = json_digest(
            {"schema": SCHEMA, "metric": metric.digest(self._weights), "over": "clip", "shown": shown.digest}
        )
        if (known := self._cache.get(key)) is not None:
            return known, True
        if (absent := self.missing.get(metric.stage.name)) is not None:
            raise absent
        answer = _measure(metric.spec, shown, worker, self._window)
        self._cache.put(key, answer)
        return answer, False

    @staticmethod
    def _nothing(metric: ChosenMetric, why: Missing) -> Measured:
        return {quantity.name: why for quantity in metric.spec.quantities}


class _Worker:
    """A metric that is opened when the first answer is not in the cache."""

    def __init__(self, metric: ChosenMetric, weights: WeightStore, reporter: Reporter) -> None:
        self._metric, self._weights, self._reporter = metric, weights, reporter
        self._context: Any = None
        self._open: Any = None

    def __call__(self, sample: Sample) -> Any:
        if self._open is None:
            if (absent := self._metric.absent(self._weights)) is not None:
                raise absent
            self._context = opened(self._metric, self._weights, self._reporter)
            self._open = self._context.__enter__()
        stage, lent = self._open
        shown = [part for part in (sample.frames, sample.reference, sample.panels, sample.ignored) if part is not None]
        name = self._metric.stage.full_name
        try:
            with Unchanged(name, *shown):
                answer = stage(sample)
        except AnimeGenError:
            raise
        except Exception as error:
            text = " ".join(str(error).split())
            raise StageError(f"{name} raised {type(error).__name__}: {text}") from error
        for warning in lent.warnings:
            self._reporter.warned(f"{self._metric.stage.name}: {warning}")
        lent.warnings = []
        return answer

    def close(self) -> None:
        if self._open is not None:
            self._context.__exit__(None, None, None)


def need(items: Sequence[Item], metrics: Sequence[ChosenMetric], *, held: int = HELD, window: int = WINDOW) -> int:
    """Bytes of pictures in memory at the worst moment; what a metric itself takes comes on top."""
    if not items:
        return 0
    whole = any(metric.spec.whole for metric in metrics)
    clips = [_nbytes(item.shown) for item in items]
    largest = max(clips)
    piece = largest if whole else min(largest, window)
    return min(held, sum(clips)) + piece


def _nbytes(shown: Shown) -> int:
    return sum(part.nbytes for part in (shown.frames, shown.reference, shown.panels) if part is not None)


def _measures(metric: ChosenMetric, item: Item) -> bool:
    return any(item.asks(quantity) for quantity in metric.quantities.values())


def _is_tolerant(metric: ChosenMetric, item: Item) -> bool:
    return (
        item.shown.reference is not None
        and len(item.shown.frames) > 3
        and any(variant.tolerant for q in metric.quantities.values() for variant in item.asks(q))
    )


def _without_own_ends(measured: Measured, item: Item) -> Measured:
    if not item.own_ends:
        return measured
    why = Missing("its panels are its own first and last frame")
    return {name: why if name.startswith("endpoint-") else value for name, value in measured.items()}


def _measure(spec: MetricSpec, shown: Shown, worker: _Worker, window: int) -> Measured:
    """One answer, whole or joined from pieces."""
    panels = None if shown.panels is None else shown.panels.array()
    base = Sample(np.empty(0, np.uint8), shown.times, None, panels, shown.ignored, shown.prompt)
    frame = shown.frames.nbytes // max(1, len(shown.frames)) * (2 if shown.reference is not None else 1)
    length = max(2, window // max(1, frame))
    if spec.whole or len(shown.frames) <= length:
        reference = None if shown.reference is None else shown.reference.array()
        return check_scores(
            spec, worker(replace(base, frames=shown.frames.array(), reference=reference)), len(shown.times)
        )
    joined: dict[str, Any] = {}
    start = 0
    for frames, reference in _pieces(shown, length):
        times = shown.times[start : start + len(frames)]
        sample = replace(base, frames=frames, reference=reference, times=times)
        piece = check_scores(spec, worker(sample), len(times))
        joined = _joined(spec, joined, piece) if start else dict(piece)
        start += len(frames) - 1
    return joined


def _pieces(shown: Shown, length: int) -> Iterator[tuple[Frames, Frames | None]]:
    frames = windows(shown.frames, length)
    if shown.reference is None:
        yield from ((piece, None) for piece in frames)
    else:
        yield from zip(frames, windows(shown.reference, length), strict=True)


def _joined(spec: MetricSpec, before: Measured, piece: Measured) -> dict[str, Any]:
    """Two answers as one: they share a frame, and no step."""
    found: dict[str, Any] = {}
    for quantity in spec.quantities:
        one, other = before[quantity.name], piece[quantity.name]
        if isinstance(one, tuple) and isinstance(other, tuple):
            found[quantity.name] = one + other[quantity.scope == "frame" :]
        else:  # missing in one piece, so in all
            found[quantity.name] = one if isinstance(one, Missing) else other
    return found


def check_scores(spec: MetricSpec, answer: object, frames: int) -> Measured:
    """The answer of a metric with a tuple for every series and numbers as float.

    Args:
        spec: The metric's record.
        answer: What it returned.
        frames: How many it was shown.

    Raises:
        StageError: Other names or counts than those of its record, something that is no number, or NaN.
    """
    names = sorted(quantity.name for quantity in spec.quantities)
    if not isinstance(answer, Mapping) or sorted(answer) != names:
        got = sorted(answer) if isinstance(answer, Mapping) else type(answer).__name__
        raise StageError(f"{spec.name} returned {got}; its record names {names}.")
    return {quantity.name: _checked(quantity, answer[quantity.name], frames) for quantity in spec.quantities}


def _checked(quantity: Quantity, values: object, frames: int) -> Value | tuple[Value, ...]:
    if isinstance(values, Missing) or quantity.scope in ("clip", "set"):
        return _number(quantity.name, values)
    wanted = frames if quantity.scope == "frame" else frames - 1
    if not isinstance(values, (Sequence, np.ndarray)) or isinstance(values, str) or len(values) != wanted:
        raise StageError(f"{quantity.name} of {frames} frames: expected {wanted} values, one a {quantity.scope}.")
    return tuple(_number(quantity.name, value) for value in values)


def _number(name: str, value: object) -> Value:
    if isinstance(value, Missing):
        return value
    if not isinstance(value, (float, int, np.floating, np.integer)) or isinstance(value, bool):
        raise StageError(f"{name} is {type(value).__name__}; a metric gives numbers, or says why there is none.")
    if math.isnan(value):
        raise StageError(f"{name} is not a number (NaN).")
    return float(value)
