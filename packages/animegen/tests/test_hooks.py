"""Each hook, alone: a tiny plugin is discovered, its stage runs, and the contract of its kind holds.

`tests/test_hooks_documented.py` asks for a ``test_hook_NAME`` for every hook of `animegen.hooks`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from animegen import (
    Box,
    DatasetSpec,
    DetectorSpec,
    InterpolatorSpec,
    MetricSpec,
    Region,
    StageSpec,
    TrainerSpec,
    hookimpl,
)
from animegen.contract import check_plugin, failed
from animegen.datasets.records import DataOrder, DataPlan, DataResult
from animegen.measuring import Quantity, Sample, Scores
from animegen.registry import Registry, import_target
from animegen.stages import DatasetMaker, Trainer
from animegen.training.records import Order, TrainingPlan, TrainingResult

NAME = "animegen_test_hooks_plugin"


def plugin(hook: str, record: Any, stage: type) -> Registry:
    """A registry of one light module with one hook, and the class that its record points to."""
    module = ModuleType(NAME)
    setattr(module, hook, hookimpl(lambda: [record]))
    setattr(module, "Made", stage)  # noqa: B010 (a module has no such attribute to mypy)
    sys.modules[NAME] = module
    return Registry([("tiny", module)])


def made(registry: Registry, kind: Any) -> Any:
    """The only stage of a registry, made from its default options."""
    (found,) = registry.stages(kind)
    assert found.kind == kind
    assert found == registry.find(kind, "tiny:made")
    return import_target(found)(found.spec.options(), None)


def assert_contract(registry: Registry, least: int = 5) -> None:
    findings = check_plugin("tiny", registry)
    assert not failed(findings), "\n".join(map(str, findings))
    assert sum(finding.level == "ok" for finding in findings) > least


TARGET = f"{NAME}:Made"
IMAGE = np.full((6, 8, 3), 200, np.uint8)


def test_hook_animegen_detectors() -> None:
    class Whole:
        def __init__(self, options: Any, context: Any) -> None: ...

        def __call__(self, image: Any, text_boxes: Any = ()) -> list[Region]:
            return [Region("panel", Box(0, 0, image.shape[1], image.shape[0]))]

    registry = plugin("animegen_detectors", DetectorSpec("made", TARGET, "The whole image.", finds="panel"), Whole)
    assert made(registry, "detector")(IMAGE)[0].box == Box(0, 0, 8, 6)
    assert_contract(registry)


def test_hook_animegen_inpainters() -> None:
    class White:
        def __init__(self, options: Any, context: Any) -> None: ...

        def __call__(self, image: Any, mask: Any) -> Any:
            return np.where(mask[..., None], np.uint8(255), image)

    registry = plugin("animegen_inpainters", StageSpec("made", TARGET, "White."), White)
    assert (made(registry, "inpainter")(IMAGE, np.ones((6, 8), bool)) == 255).all()
    assert_contract(registry)


def test_hook_animegen_preprocessors() -> None:
    class Invert:
        def __init__(self, options: Any, context: Any) -> None: ...

        def __call__(self, image: Any) -> Any:
            return 255 - image

    registry = plugin("animegen_preprocessors", StageSpec("made", TARGET, "Inverts."), Invert)
    assert (made(registry, "preprocessor")(IMAGE) == 55).all()
    assert_contract(registry)


def test_hook_animegen_interpolators() -> None:
    class Hold:
        def __init__(self, options: Any, context: Any) -> None: ...

        def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
            frames = [first if time < 0.5 else last for time in times]
            return np.array(frames, np.uint8).reshape(len(frames), *first.shape)

    registry = plugin("animegen_interpolators", InterpolatorSpec("made", TARGET, "Cuts half way."), Hold)
    frames = made(registry, "interpolator")(IMAGE, IMAGE // 2, [0.4, 0.6])
    assert frames[:, 0, 0, 0].tolist() == [200, 100]
    assert_contract(registry)


def test_hook_animegen_metrics() -> None:
    class Brightness:
        def __init__(self, options: Any, context: Any) -> None: ...

        def __call__(self, sample: Sample) -> Scores:
            return {"brightness": sample.frames.mean((1, 2, 3)).tolist()}

    spec = MetricSpec("made", TARGET, "Mean level.", quantities=(Quantity("brightness", "frame", "none"),))
    registry = plugin("animegen_metrics", spec, Brightness)
    assert made(registry, "metric")(Sample(IMAGE[None], (0,))) == {"brightness": [200.0]}
    assert_contract(registry)


def test_hook_animegen_trainers() -> None:
    class Count:
        def __init__(self, options: Any, context: Any) -> None: ...

        def plan(self, material: Path, order: Order) -> TrainingPlan:
            return TrainingPlan("nothing", "nothing", "")

        def __call__(self, material: Path, out: Path, order: Order, tell: Any) -> TrainingResult:
            return TrainingResult((), order.steps)

    registry = plugin("animegen_trainers", TrainerSpec("made", TARGET, "Counts."), Count)
    trainer = made(registry, "trainer")
    assert isinstance(trainer, Trainer)
    assert trainer(Path(), Path(), Order(3), None).step == 3
    assert list(registry.stages()) == []  # a trainer takes no part in a clip
    assert_contract(registry, least=3)


def test_hook_animegen_datasets() -> None:
    class Names:
        def __init__(self, options: Any, context: Any) -> None: ...

        def plan(self, material: Any, order: DataOrder) -> DataPlan:
            return DataPlan("names", f"{len(material)} files")

        def __call__(self, material: Any, out: Path, order: DataOrder, reporter: Any) -> DataResult:
            return DataResult((), f"{len(material)} names in {order.jobs} processes")

    registry = plugin("animegen_datasets", DatasetSpec("made", TARGET, "Names."), Names)
    maker = made(registry, "dataset")
    assert isinstance(maker, DatasetMaker)
    assert maker([Path(), Path()], Path(), DataOrder(3), None).summary == "2 names in 3 processes"
    assert list(registry.stages()) == []  # nor does what makes a dataset
    assert_contract(registry, least=3)
