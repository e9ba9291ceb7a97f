"""Items and metrics to values: from the cache, or measured, piece by piece where the metric allows it.

Memory: decoded clips are held up to `HELD` bytes together; a clip that alone is more is read in pieces of at most
`WINDOW` bytes, which share a frame, unless a metric must see it whole. `need` states what that comes to beforehand.

Metrics that need no weights measure in `THREADS` threads: nearly all of their time is spent in libraries that let
other threads work meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from animegen.errors import AnimeGenError, MissingError, StageError
from animegen.measuring import Measured, Missing, Sample
from animegen.pipeline.boundary import Unchanged
from animegen.pipeline.hashing import json_digest
from animegen.pipeline.progress import Reporter
from animegen_eval.answers import measure
from animegen_eval.cache import SCHEMA, ScoreCache
from animegen_eval.items import Item, Shown
from animegen_eval.metrics import ChosenMetric, opened

if TYPE_CHECKING:
    from animegen.weights.store import WeightStore

T = TypeVar("T")
R = TypeVar("R")

HELD = 768 * 2**20
"""Bytes of decoded clips that are held for the next metric or control."""
WINDOW = 256 * 2**20
"""Bytes of a piece of a clip, true frames included."""
THREADS = min(4, os.cpu_count() or 1)
"""Scores that are worked on at once, where no weights are needed."""


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
        self._busy: dict[str, threading.Lock] = {}

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
        threads = 1 if any(metric.spec.weights for metric in metrics) else THREADS
        with _Workers(self._weights, self.reporter) as workers:
            scores = _in_threads(work, lambda pair: self._one(pair[1], pair[0], workers.of(pair[1])), threads)
            for done, score in enumerate(scores, start=1):
                before += score.cached
                self.reporter.progress(done, len(work), "scores")
                yield score
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
        with self._busy.setdefault(key, threading.Lock()):  # two items may be the same clip
            if (known := self._cache.get(key)) is not None:
                return known, True
            if (absent := self.missing.get(metric.stage.name)) is not None:
                raise absent
            answer = measure(metric.stage.full_name, metric.spec, shown, worker, self._window)
            self._cache.put(key, answer)
        return answer, False

    @staticmethod
    def _nothing(metric: ChosenMetric, why: Missing) -> Measured:
        return {quantity.name: why for quantity in metric.spec.quantities}


def _in_threads(work: Sequence[T], do: Callable[[T], R], threads: int) -> Iterator[R]:
    """What `do` makes of each, in the order of `work`. Ctrl-C waits for the scores that are being measured, no others:
    threads that libraries work in must not outlive the interpreter."""
    if threads == 1:
        yield from map(do, work)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(do, work)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Workers:
    """A worker for each metric in each thread, since a metric need not be safe to share."""

    def __init__(self, weights: WeightStore, reporter: Reporter) -> None:
        self._weights, self._reporter = weights, reporter
        self._workers: dict[tuple[int, str], _Worker] = {}

    def of(self, metric: ChosenMetric) -> _Worker:
        """The metric's worker of the thread that asks."""
        key = threading.get_ident(), metric.stage.full_name
        if key not in self._workers:
            self._workers[key] = _Worker(metric, self._weights, self._reporter)
        return self._workers[key]

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()


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
    """Bytes of pictures in memory at the worst moment, of all threads; what a metric itself takes comes on top."""
    if not items:
        return 0
    whole = any(metric.spec.whole for metric in metrics)
    clips = [_nbytes(item.shown) for item in items]
    largest = max(clips)
    piece = largest if whole else min(largest, window)
    threads = 1 if all(metric.spec.weights for metric in metrics) else THREADS
    return min(held, sum(clips)) + min(threads, len(items)) * piece


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
