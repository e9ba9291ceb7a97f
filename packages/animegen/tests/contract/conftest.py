"""A registry's stage made of a plain function, stages that keep the contract, and findings by check."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from animegen import DetectorSpec, InterpolatorSpec, MetricSpec, StageSpec, hookimpl
from animegen.contract import Finding
from animegen.errors import UsageError
from animegen.measuring import Missing, Quantity, Sample, Scores
from animegen.registry import Registry, Stage

NAME = "animegen_test_contract_stages"
RECORDS = {
    "detector": DetectorSpec,
    "inpainter": StageSpec,
    "preprocessor": StageSpec,
    "interpolator": InterpolatorSpec,
    "metric": MetricSpec,
}


def _fill(image: Any, mask: Any) -> Any:
    return np.where(mask[..., None], np.uint8(255), image)


def _blend(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    frames = [np.rint(first * (1 - t) + last * t) for t in times]
    return np.array(frames, np.uint8).reshape(len(frames), *first.shape)


def _difference(sample: Sample) -> Scores:
    if sample.reference is None:
        return {"difference": Missing("no true frames")}
    if sample.frames.shape != sample.reference.shape:
        raise UsageError("a reference of the same shape is needed.")
    return {"difference": np.abs(sample.frames.astype(int) - sample.reference).mean((1, 2, 3)).tolist()}


KEPT: dict[str, Callable[..., Any]] = {
    "detector": lambda image, boxes=(): [],
    "inpainter": _fill,
    "preprocessor": lambda image: 255 - image,
    "interpolator": _blend,
    "metric": _difference,
}


def _stage_of(kind: str, call: Callable[..., Any] | None = None, *, made: type | None = None, **record: Any) -> Stage:
    """A registry's stage whose call is a plain function."""
    call = call or KEPT[kind]

    class Made:
        def __init__(self, options: Any, context: Any) -> None:
            self.context = context

        def __call__(self, *args: Any, **named: Any) -> Any:
            return call(*args, **named)

    module = ModuleType(NAME)
    setattr(module, "Made", made or Made)  # noqa: B010 (a module has no such attribute to mypy)
    if kind == "metric":
        record.setdefault("quantities", (Quantity("difference", "frame", "lower", reads=frozenset({"reference"})),))
    spec = RECORDS[kind]("tiny", f"{NAME}:Made", "For tests.", **record)
    setattr(module, f"animegen_{kind}s", hookimpl(lambda: [spec]))
    sys.modules[NAME] = module
    (stage,) = Registry([("acme", module)]).stages()
    return stage


def _errors(findings: list[Finding]) -> dict[str, str]:
    """Message of each check that failed."""
    return {finding.check: finding.message for finding in findings if finding.level == "error"}


def _levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


class _Sequence:
    """An interpolator whose sequence call can be off by so many grey levels."""

    off = 0

    def __init__(self, options: Any, context: Any) -> None: ...

    def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        return _blend(first, last, times)

    def sequence(self, images: Any, times: Any) -> Any:
        first = next(images)
        for last, asked in zip(images, times, strict=True):
            yield _blend(first, last, asked) + np.uint8(self.off)
            first = last


@pytest.fixture(scope="session")
def kept() -> dict[str, Callable[..., Any]]:
    """The call of a stage that keeps the contract, by kind."""
    return KEPT


@pytest.fixture(scope="session")
def stage_of() -> Callable[..., Stage]:
    """``stage_of(kind, call, made=..., **record)``: a stage of that call, or of one that keeps the contract."""
    return _stage_of


@pytest.fixture(scope="session")
def sequence() -> Any:
    """A class of interpolators with a sequence call, which can be `off` by so many grey levels."""
    return _Sequence


@pytest.fixture(scope="session")
def errors() -> Callable[[list[Finding]], dict[str, str]]:
    """``errors(findings)``: the message of each check that failed."""
    return _errors


@pytest.fixture(scope="session")
def levels() -> Callable[[list[Finding]], dict[str, str]]:
    """``levels(findings)``: how each check went."""
    return _levels
