"""The contract of plans, previews and random parameters: what is broken is found, and told in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from animegen import Demand, DetectorSpec, InterpolatorSpec, StagePlan, StageSpec, Weight, hookimpl, option
from animegen.contract import Finding, check_stage
from animegen.errors import MissingError, ResourceError, UsageError
from animegen.registry import Registry, Stage
from animegen.weights.store import WeightStore

NAME = "animegen_test_contract_before"
FILE = Weight("model.bin", ("https://weights.invalid/model.bin",), "MIT", size=1)


@dataclass(frozen=True)
class Options:
    steps: int = option(50, "Steps; more is slower.", min=1, max=100)


class Shift:
    """Adds its parameter."""

    made = 0

    def __init__(self, options: Any, context: Any) -> None:
        Shift.made += 1
        self.shift = 5 if context.untrained else context.weight("model.bin").read_bytes()[0]

    def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        frames = [first + np.uint8(self.shift)] * len(times)
        return np.array(frames, np.uint8).reshape(len(frames), *first.shape)


class Dice(Shift):
    def __init__(self, options: Any, context: Any) -> None:
        super().__init__(options, context)
        self.shift = Shift.made


class Asks(Shift):
    def __init__(self, options: Any, context: Any) -> None:
        context.weight("model.bin")


def by_size(options: Any, context: Any, *, size: tuple[int, int], frames: int) -> StagePlan:
    return StagePlan("", (Demand("cpu", size[0] * size[1] * frames),))


def check(target: type = Shift, plan: Callable[..., Any] | None = by_size, **given: Any) -> list[Finding]:
    """Findings of an interpolator made from `target`, with an empty store of weights."""
    size = given.pop("size", (16, 24))
    module = ModuleType(NAME)
    vars(module).update(Target=target, plan=plan)
    sys.modules[NAME] = module
    record: dict[str, Any] = {"options": Options, "weights": (FILE,), "untrained": True, **given}
    if plan is not None:
        record.setdefault("plan", f"{NAME}:plan")
    spec = InterpolatorSpec("tiny", f"{NAME}:Target", "For tests.", **record)
    return check_stage(registered(spec), weights=WeightStore(Path("nowhere"), environ={}), untrained=size)


def registered(spec: StageSpec) -> Stage:
    class Plugin:
        @hookimpl
        def animegen_interpolators(self) -> list[StageSpec]:
            return [spec] if isinstance(spec, InterpolatorSpec) else []

        @hookimpl
        def animegen_detectors(self) -> list[StageSpec]:
            return [spec] if isinstance(spec, DetectorSpec) else []

    (stage,) = Registry([("acme", Plugin())]).stages()
    return stage


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop(NAME, None)


def of(findings: list[Finding], name: str) -> tuple[str, str]:
    (found,) = [(one.level, one.message) for one in findings if one.check == name]
    return found


def test_a_stage_that_keeps_its_promises() -> None:
    findings = check(preview={"steps": 8})
    assert {one.level for one in findings} == {"ok", "skipped"}
    assert of(findings, "plan")[0] == of(findings, "untrained")[0] == of(findings, "absent weights")[0] == "ok"
    assert of(findings, "run")[0] == "skipped"  # its weights are not here


@pytest.mark.parametrize(
    ("plan", "level", "words"),
    [
        (lambda *a, **k: None, "error", "its plan is NoneType; expected a StagePlan"),
        (lambda *a, **k: StagePlan("", (Demand("cpu", -1),)), "error", "need -1 of cpu"),
        (lambda *a, **k: 1 // 0, "error", "raised ZeroDivisionError"),
        (lambda options, context: StagePlan(), "error", "raised TypeError"),
        (lambda *a, size, **k: StagePlan("", (Demand("x", 10**6 // size[0]),)), "warning", "16 times as large"),
        (lambda *a, **k: _raise(ResourceError("too much")), "error", "it should say need and have"),
        (lambda *a, **k: _raise(UsageError("odd")), "error", "odd"),
        (lambda *a, **k: _raise(MissingError("no file", hint="fetch it")), "skipped", "fetch it"),
    ],
)
def test_plans(plan: Callable[..., Any], level: str, words: str) -> None:
    found, message = of(check(plan=plan), "plan")
    assert found == level
    assert words in message


def test_a_plan_that_is_not_there() -> None:
    level, message = of(_with_plan(f"{NAME}:absent"), "plan")
    assert (level, "AttributeError" in message) == ("error", True)
    assert not [one for one in check(plan=None) if one.check == "plan"]


def _with_plan(place: str) -> list[Finding]:
    module = ModuleType(NAME)
    vars(module).update(Target=Shift)
    sys.modules[NAME] = module
    spec = InterpolatorSpec("tiny", f"{NAME}:Target", "For tests.", plan=place, weights=(FILE,))
    return check_stage(registered(spec), weights=WeightStore(Path("nowhere"), environ={}))


@pytest.mark.parametrize(
    ("preview", "words"),
    [({"stepps": 8}, "unknown option tiny.stepps (from preview)"), ({"steps": 800}, "it takes 1 .. 100")],
)
def test_previews_name_options_and_values_that_there_are(preview: dict[str, int], words: str) -> None:
    _, message = of([one for one in check(preview=preview) if one.level == "error"], "record")
    assert words in message


def test_a_stage_that_rolls_dice() -> None:
    level, message = of(check(Dice), "untrained")
    assert (level, "fixed seed" in message) == ("error", True)


def test_a_stage_that_asks_for_weights_all_the_same() -> None:
    level, message = of(check(Asks), "untrained")
    assert (level, "it runs untrained, without weights" in message) == ("error", True)


def test_the_size_is_given_by_who_knows_the_model() -> None:
    Shift.made = 0
    assert of(check(size=None), "untrained")[0] == "skipped"
    assert Shift.made == 1  # to see what it does without weights
    assert of(check(untrained=False), "untrained")[1].endswith("its record says no.")
    assert not [one for one in check(untrained=False, size=None) if one.check == "untrained"]


def test_a_detector_with_random_parameters_is_no_use() -> None:
    spec = DetectorSpec("tiny", f"{__name__}:Shift", "For tests.", untrained=True)
    sys.modules.setdefault(__name__, sys.modules[__name__])
    level, message = of(check_stage(registered(spec), untrained=(8, 8)), "untrained")
    assert (level, "no use to any run" in message) == ("error", True)


def test_the_fixture_takes_sizes(stage_contract: Callable[..., list[Finding]]) -> None:
    module = ModuleType(NAME)
    spec = InterpolatorSpec("tiny", f"{NAME}:Shift", "For tests.", weights=(FILE,), untrained=True)
    vars(module).update(Shift=Shift, animegen_interpolators=hookimpl(lambda: [spec]))
    sys.modules[NAME] = module
    with pytest.warns(UserWarning, match=r"model\.bin"):
        findings = stage_contract(module, weights={}, untrained={"tiny": (8, 8)})
    assert of(findings, "untrained")[0] == "ok"
    with pytest.raises(ValueError, match="other"):
        stage_contract(module, untrained={"other": (8, 8)})


def _raise(error: Exception) -> Any:
    raise error
