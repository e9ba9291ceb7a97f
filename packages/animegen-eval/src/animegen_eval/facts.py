"""What ``summary.json`` says beside the figures: command, versions, metrics, inputs, what is missing and what broke."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from animegen.pipeline.record import environment
from animegen_eval.metrics import ChosenMetric
from animegen_eval.profiles import Profile
from animegen_eval.rows import Row
from animegen_eval.samples.sources import Source

if TYPE_CHECKING:
    from animegen.errors import MissingError
    from animegen.weights.store import WeightStore


def facts_of(
    profile: Profile,
    metrics: Iterable[ChosenMetric],
    sources: Iterable[Source],
    clips: Iterable[Row],
    *,
    weights: WeightStore,
    missing: Mapping[str, MissingError],
    notes: Sequence[str],
    argv: Sequence[str],
    by: str = "config",
) -> dict[str, Any]:
    """The facts of an evaluation, for JSON.

    Args:
        profile: What was shown and counted.
        metrics: What measured.
        sources: The clips that were handed in.
        clips: The table of clips, for what broke.
        weights: Where weights lie.
        missing: By name, metrics that cannot measure here.
        notes: What a reader must know.
        argv: The command.
        by: What the summary has lines for.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(argv),
        "profile": profile.as_record(),
        "by": by,
        "environment": environment(),
        "metrics": [_metric(metric, weights) for metric in metrics],
        "inputs": [_input(source) for source in sources],
        "notes": list(notes),
        "missing": [
            {"metric": name, "reason": error.message, "hints": list(error.hints)} for name, error in missing.items()
        ],
        "failures": _failures(clips),
    }


def _metric(metric: ChosenMetric, weights: WeightStore) -> dict[str, Any]:
    quantities = [
        {
            "name": quantity.name,
            "scope": quantity.scope,
            "better": quantity.better,
            "unit": quantity.unit,
            "summary": quantity.summary,
            "reads": sorted(quantity.reads),
        }
        for quantity in metric.quantities.values()
    ]
    return {"name": metric.stage.name, **metric.identity(weights), "quantities": quantities}


def _input(source: Source) -> dict[str, Any]:
    width, height = source.pictures.size
    return {
        "run": source.run,
        "config": source.config,
        "title": source.title,
        "clip": source.name,
        "frames": len(source.pictures),
        "fps": None if source.fps is None else str(source.fps),
        "width": width,
        "height": height,
        "digest": source.pictures.digest,
        "stored": str(source.storage),
        "lossless": source.storage.lossless,
    }


def _failures(clips: Iterable[Row]) -> list[dict[str, Any]]:
    """What broke, once for each metric, system and clip."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in clips:
        if row.failed:
            key = (row.metric, row.config, row.title, row.clip, row.gap)
            found.setdefault(
                key,
                {"metric": row.metric, "config": row.config, "clip": row.clip, "gap": row.gap, "reason": row.missing},
            )
    return list(found.values())
