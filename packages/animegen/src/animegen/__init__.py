"""AnimeGen: two manga panels become a short anime transition clip.

Importing this package is cheap; numpy, OpenCV and PyAV are imported by the first call that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from animegen.errors import AnimeGenError
from animegen.hooks import hookimpl
from animegen.media import Box, Panel, PanelPair, Region, Strip
from animegen.options import option
from animegen.stages import (
    Context,
    DatasetSpec,
    Demand,
    DetectorSpec,
    InterpolatorSpec,
    MetricSpec,
    Needs,
    NoOptions,
    StagePlan,
    StageSpec,
    TrainerSpec,
    Weight,
)

if TYPE_CHECKING:
    from animegen.api import run, upsample
    from animegen.clip import Clip
    from animegen.pipeline.pipeline import Pipeline

__version__ = "0.1.0"

_LAZY = {
    "run": "animegen.api",
    "Clip": "animegen.clip",
    "Pipeline": "animegen.pipeline.pipeline",
    "upsample": "animegen.api",
}

__all__ = [
    "AnimeGenError",
    "Box",
    "Clip",
    "Context",
    "DatasetSpec",
    "Demand",
    "DetectorSpec",
    "InterpolatorSpec",
    "MetricSpec",
    "Needs",
    "NoOptions",
    "Panel",
    "PanelPair",
    "Pipeline",
    "Region",
    "StagePlan",
    "StageSpec",
    "Strip",
    "TrainerSpec",
    "Weight",
    "__version__",
    "hookimpl",
    "option",
    "run",
    "upsample",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
