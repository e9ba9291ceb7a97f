"""The built-in stages: their options and records. Light: nothing here imports numpy or cv2."""

from __future__ import annotations

from animegen.hooks import hookimpl
from animegen.stages import InterpolatorSpec, MetricSpec, StageSpec


@hookimpl
def animegen_inpainters() -> list[StageSpec]:
    return []


@hookimpl
def animegen_preprocessors() -> list[StageSpec]:
    return []


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return []


@hookimpl
def animegen_metrics() -> list[MetricSpec]:
    return []
