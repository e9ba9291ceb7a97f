"""Metrics by name: which are installed, what they need, what identifies their numbers, and opening them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from animegen.errors import AnimeGenError, MissingError, StageError, UsageError, did_you_mean
from animegen.measuring import Quantity
from animegen.options import Layer, Resolved, resolve, to_json
from animegen.pipeline.hashing import code_digest, json_digest
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext, named_files
from animegen.registry import Registry, Stage, check_libraries, import_target
from animegen.stages import MetricSpec
from animegen.weights.store import WeightStore, short_name

if TYPE_CHECKING:
    from animegen.settings.layers import ConfigLayer


@dataclass(frozen=True)
class ChosenMetric:
    """A metric with its options.

    Attributes:
        stage: The metric.
        options: Its options, each with its source.
        asked: Names of the quantities that are asked for.
        device: As ``--device`` has it.
        dtype: As ``--dtype`` has it.
    """

    stage: Stage
    options: Resolved[Any]
    asked: frozenset[str]
    device: str = "auto"
    dtype: str = "auto"

    @property
    def spec(self) -> MetricSpec:
        assert isinstance(self.stage.spec, MetricSpec)
        return self.stage.spec

    @cached_property
    def quantities(self) -> Mapping[str, Quantity]:
        """By name, those that are asked for."""
        return {quantity.name: quantity for quantity in self.spec.quantities if quantity.name in self.asked}

    def identity(self, weights: WeightStore) -> dict[str, Any]:
        """What makes it give the numbers it gives: name, version, code, options, weights, number format."""
        return {
            "metric": self.stage.full_name,
            "version": self.stage.plugin.version,
            "code": code_digest(self.spec.target.partition(":")[0]),
            "options": to_json(self.options.values),
            "files": named_files(self.options.values),
            "weights": self.weight_digests(weights),
            "number_format": [self.device, self.dtype] if self.spec.weights else [],
        }

    def digest(self, weights: WeightStore) -> str:
        """Hash of `identity`."""
        return json_digest(self.identity(weights))

    def weight_digests(self, weights: WeightStore) -> dict[str, str]:
        """Published or measured digests of the files it loads."""
        found = {}
        for weight in self.spec.weights_for(self.options.values):
            status = weights.status(self.stage.plugin.name, weight)
            found[weight.file] = weight.sha256 or status.sha256 or weight.md5 or ""
        return found

    def absent(self, weights: WeightStore) -> MissingError | None:
        """Why it cannot measure here, in the words that somebody needs who wants it to; None where it can."""
        try:
            check_libraries(self.stage)
        except MissingError as error:
            return MissingError(f"{error.message} No score was computed.", hint=error.hints)
        hints: list[str] = []
        files = []
        for weight in self.spec.weights_for(self.options.values):
            try:
                weights.path(self.stage.plugin.name, weight)
            except MissingError as error:
                files.append(f"{weight.file} (SHA-256 {weight.sha256 or 'not published'})")
                hints += [hint for hint in error.hints if hint not in hints]
        if not files:
            return None
        folder = short_name(self.stage.plugin.name)
        places = ", ".join(str(place / folder) for place in (*weights.shared, weights.folder))
        return MissingError(
            f"the metric {self.stage.name} needs {' and '.join(files)}, not here; looked in {places}. "
            "No score was computed.",
            hint=(*hints, "ANIMEGEN_WEIGHTS names further folders; --allow-missing goes on without this metric"),
        )


def choose_metrics(
    registry: Registry,
    names: Sequence[str],
    layers: Sequence[ConfigLayer] = (),
    *,
    over: str = "clip",
    device: str = "auto",
    dtype: str = "auto",
) -> list[ChosenMetric]:
    """Metrics by the names of stages or of single quantities; all that are installed where no name is given.

    Args:
        registry: What is installed.
        names: ``lpips``, ``PLUGIN:lpips``, or ``lpips-alex`` for one of its quantities.
        layers: Where options come from, weakest first: the table of the stage's name.
        over: ``clip`` or ``set``: what is measured by those that are taken where no name is given.
        device, dtype: Handed on to metrics with weights.

    Raises:
        UsageError: An unknown name, with the nearest known one.
        MissingError: The plugin that was named did not load.
    """
    stages = [stage for stage in registry.stages("metric") if isinstance(stage.spec, MetricSpec)]
    asked: dict[str, tuple[Stage, set[str]]] = {}
    for name in names or [stage.full_name for stage in stages if _over(stage) == over]:
        for stage, quantities in _meant(registry, stages, name):
            asked.setdefault(stage.full_name, (stage, set()))[1].update(quantities)
    chosen = []
    for stage, wanted in asked.values():
        own = [Layer(layer.source, layer.tables.get(stage.name, {})) for layer in layers]
        options: Resolved[Any] = resolve(stage.spec.options, own, name=stage.name)
        chosen.append(ChosenMetric(stage, options, frozenset(wanted), device, dtype))
    return chosen


def _over(stage: Stage) -> str:
    return stage.spec.over if isinstance(stage.spec, MetricSpec) else ""


def _meant(registry: Registry, stages: Sequence[Stage], name: str) -> list[tuple[Stage, set[str]]]:
    quantities = {
        quantity.name: stage
        for stage in stages
        if isinstance(stage.spec, MetricSpec)
        for quantity in stage.spec.quantities
    }
    known = {stage.name for stage in stages} | {stage.full_name for stage in stages}
    if name in quantities and name not in known:
        return [(quantities[name], {name})]
    try:
        stage = registry.find("metric", name)
    except UsageError as error:
        near = did_you_mean(name, [*known, *quantities])
        raise UsageError(error.message, hint=f"{near}animegen evaluate --list shows all") from None
    assert isinstance(stage.spec, MetricSpec)
    return [(stage, {quantity.name for quantity in stage.spec.quantities})]


class _Unhurried(Reporter):
    """Hands on what a metric warns of, not its steps within one clip: progress is told in scores."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def warned(self, message: str) -> None:
        self._reporter.warned(message)


@contextmanager
def opened(metric: ChosenMetric, weights: WeightStore, reporter: Reporter) -> Iterator[tuple[Any, StageContext]]:
    """The metric itself, as long as the block runs, and what it is lent.

    Raises:
        MissingError: What it needs is not here.
        StageError: It cannot be made.
    """
    devices = tuple(part.strip() for part in metric.device.split(",") if part.strip()) or ("auto",)
    context = StageContext(metric.stage, devices, metric.dtype, weights, _Unhurried(reporter))
    target = import_target(metric.stage)
    try:
        stage = target(metric.options.values, context)
    except AnimeGenError:
        raise
    except Exception as error:
        raise StageError(f"{metric.stage.full_name} raised {type(error).__name__}: {error}.") from error
    try:
        yield stage, context
    finally:
        closing = getattr(stage, "close", None)
        if callable(closing):
            closing()
