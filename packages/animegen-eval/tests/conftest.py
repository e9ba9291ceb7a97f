"""Tiny clips and metrics whose answers are known."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from animegen.builtin import plugin as builtin_plugin
from animegen.errors import UsageError
from animegen.hooks import hookimpl
from animegen.imageio import write_image
from animegen.measuring import Missing, Quantity, Sample
from animegen.options import option
from animegen.registry import Registry
from animegen.stages import MetricSpec, Weight

HEIGHT, WIDTH = 48, 64
MODULE = "metrics_for_tests"


def disc(count: int, *, height: int = HEIGHT, width: int = WIDTH, way: float = 24.0, ease: bool = False) -> Any:
    """A black disc with an outline that moves to the right over paper: (count, height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    frames = []
    for time in np.linspace(0, 1, count):
        place = time * time if ease else time
        distance = np.hypot(x - (16 + way * place), y - height / 2)
        tone = np.clip((distance - 9) * 255, 0, 255)
        frames.append(np.repeat(tone[..., None], 3, axis=2).astype(np.uint8))
    return np.stack(frames)


class StepMae:
    """Mean absolute difference from frame to frame: falls with every frame that is added."""

    calls = 0

    def __init__(self, options: Any, context: Any) -> None:
        pass

    def __call__(self, sample: Sample) -> dict[str, Any]:
        type(self).calls += 1
        frames = sample.frames.astype(float)
        return {"step-mae": [float(np.abs(b - a).mean()) for a, b in pairwise(frames)]}


class Odd:
    """What the option says: NaN, too few values, an exception, or a refusal; only for frames with a bright corner."""

    def __init__(self, options: Any, context: Any) -> None:
        pass

    def __call__(self, sample: Sample) -> dict[str, Any]:
        kind = int(sample.frames[0, 0, 0, 0])
        count = len(sample.frames)
        if kind == 1:
            return {"odd": [math.nan] * count}
        if kind == 2:
            return {"odd": [1.0]}
        if kind == 3:
            raise ValueError("broken inside")
        if kind == 4:
            raise UsageError("odd does not take this clip.")
        if kind == 5:
            return {"odd": [1.0] * (count - 2) + [Missing("too dark"), 1.0]}
        return {"odd": [1.0] * count}


class Weighted:
    def __init__(self, options: Any, context: Any) -> None:
        context.weight("backbone.pth")

    def __call__(self, sample: Sample) -> dict[str, Any]:
        return {"weighted": 1.0}


@dataclass(frozen=True)
class MeanColourOptions:
    force: bool = option(False, "Of few clips too.")


class MeanColour:
    """A set metric: mean colours, and the distance of their means; of few clips only where that is forced."""

    def __init__(self, options: MeanColourOptions, context: Any) -> None:
        self.force = options.force

    def __call__(self) -> None: ...

    def features(self, sample: Sample) -> Any:
        return sample.frames.mean(axis=(0, 1, 2), dtype=np.float64)[None].astype(np.float32)

    def distance(self, features: Any, reference: Any) -> dict[str, Any]:
        if len(features) < 100 and not self.force:
            return {"colour-distance": Missing("too few clips for this metric")}
        one, other = (np.concatenate(list(rows)).mean(axis=0) for rows in (features, reference))
        return {"colour-distance": float(np.linalg.norm(one - other))}


def spec(name: str, stage: type, scope: str = "frame", better: str = "lower", **more: Any) -> MetricSpec:
    quantity = Quantity(more.pop("quantity", name), scope, better)  # type: ignore[arg-type]
    return MetricSpec(name, f"{MODULE}:{stage.__name__}", "For tests.", quantities=(quantity,), **more)


@pytest.fixture(scope="session")
def kit() -> Any:
    """``kit.disc`` draws a clip, ``kit.StepMae`` counts its calls."""
    return SimpleNamespace(disc=disc, StepMae=StepMae)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """``save(frames, "a/b")`` writes a folder of frames below the test's own folder."""

    def write(frames: Any, name: str) -> Path:
        for index, frame in enumerate(frames):
            write_image(tmp_path / name / f"{index:06d}.png", np.ascontiguousarray(frame))
        return tmp_path / name

    return write


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Built-in stages, and the metrics above."""
    module = ModuleType(MODULE)
    vars(module).update(StepMae=StepMae, Odd=Odd, Weighted=Weighted, MeanColour=MeanColour)
    monkeypatch.setitem(sys.modules, MODULE, module)
    weight = Weight("backbone.pth", ("https://example.org/backbone.pth",), "MIT", sha256="ab" * 32, size=10)

    class Plugin:
        @hookimpl
        def animegen_metrics(self) -> list[MetricSpec]:
            return [
                spec("step-mae", StepMae, "step"),
                spec("odd", Odd),
                spec("weighted", Weighted, "clip", weights=(weight,)),
                spec("colour-distance", MeanColour, "set", over="set", options=MeanColourOptions),
            ]

    StepMae.calls = 0
    return Registry([("animegen", builtin_plugin), ("animegen-odd", Plugin())], off=())
