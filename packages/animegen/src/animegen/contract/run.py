"""Running one stage under the contract: absent weights, loading, what its kind promises, closing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from animegen.contract.before import check_plan, check_untrained
from animegen.contract.findings import Finding
from animegen.contract.kinds import CHECKS, smallest_call
from animegen.contract.probe import Broken, Probe, Stopped, describe_error, with_hints
from animegen.errors import AnimeGenError, MissingError
from animegen.options import Layer, resolve
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext
from animegen.registry import Stage, check_libraries, import_target
from animegen.stages import MetricSpec, SetMetric, StageSpec
from animegen.weights.store import WeightStore


def run_checks(
    stage: Stage,
    weights: WeightStore,
    options: Mapping[str, Any],
    devices: tuple[str, ...],
    untrained: tuple[int, int] | None = None,
) -> list[Finding]:
    """Import, make, call and close a stage whose record is in order."""
    values: Any = resolve(stage.spec.options, [Layer("check", options)], name=stage.name).values

    def lent(store: WeightStore = weights, *, untrained: bool = False) -> StageContext:
        return StageContext(stage, devices, "auto", store, Reporter(), untrained)

    def make(store: WeightStore = weights) -> Any:
        return import_target(stage)(values, lent(store))

    probe = Probe(stage)
    try:
        check_libraries(stage)
    except MissingError as absent:  # no fault of the plugin
        return [Finding("skipped", "import", with_hints(absent), stage.full_name)]
    try:
        import_target(stage)
    except AnimeGenError as error:
        return [Finding("error", "import", error.message, stage.full_name)]
    probe.say("ok", "import", f"{stage.spec.target} can be imported.")
    with suppress(Stopped):
        check_plan(probe, values, lent())
    with suppress(Stopped):
        check_untrained(probe, untrained, lambda: import_target(stage)(values, lent(untrained=True)))
    loaded = stage.spec.weights_for(values)
    if loaded:
        _check_without_weights(probe, make)
    try:
        for weight in loaded:
            weights.path(stage.plugin.name, weight)
    except AnimeGenError as error:
        probe.say("skipped", "run", with_hints(error))
        return probe.findings
    made = None
    with suppress(Stopped):
        with probe.check("make", "made from its options and a context."):
            made = make()
            if not _usable(stage.spec, made):
                how = "has no features and distance" if _over_sets(stage.spec) else "cannot be called"
                raise Broken(f"{stage.spec.target} made a {type(made).__name__}, which {how}.")
        if _usable(stage.spec, made):
            CHECKS[stage.kind](probe, made)
    with suppress(Stopped):
        _check_close(probe, made)
    return probe.findings


def _over_sets(spec: StageSpec) -> bool:
    return isinstance(spec, MetricSpec) and spec.over == "set"


def _usable(spec: StageSpec, made: object) -> bool:
    """Whether `made` has what its kind is used by: it is called, or it compares sets."""
    return isinstance(made, SetMetric) if _over_sets(spec) else callable(made)


def _check_without_weights(probe: Probe, make: Callable[[WeightStore], Any]) -> None:
    """With an empty cache a stage must stop with the command that fills it, not run on untrained parameters."""
    check = "absent weights"
    with tempfile.TemporaryDirectory(prefix="animegen-contract-") as folder:
        try:
            smallest_call(probe.stage, make(WeightStore(Path(folder), environ={})))
        except MissingError as missing:
            if any("animegen weights fetch" in hint for hint in missing.hints):
                probe.say("ok", check, f"it stops with: {missing.message}")
            else:
                probe.say("error", check, f"it stops with {missing.message!r}, without the command that helps.")
        except Exception as error:
            text = "without its weights it should let the MissingError of context.weight(FILE) through; it"
            probe.say("error", check, f"{text} {describe_error(error, probe.stage)}")
        else:
            probe.say("error", check, "without its required weights it ran all the same; it must never do that.")


def _check_close(probe: Probe, stage: Any) -> None:
    closing = getattr(stage, "close", None)
    if closing is None:
        return
    with probe.check("close", "close() may be called twice."):
        closing()
        closing()
