"""Toy stages that say when they are called, a registry of them, and pairs of panels."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from animegen import Box, DetectorSpec, InterpolatorSpec, Needs, Panel, PanelPair, Region, StageSpec, hookimpl, option
from animegen.pipeline.pipeline import Pipeline
from animegen.registry import Registry

HERE = __name__
calls: list[str] = []


@dataclass(frozen=True)
class ToyOptions:
    shift: int = option(1, "Added to every pixel.", min=0, max=9)


class Base:
    def __init__(self, options, context):
        self.options, self.context = options, context
        calls.append(f"open {type(self).__name__}")

    def close(self):
        calls.append(f"close {type(self).__name__}")


class Balloons(Base):
    def __call__(self, image, text_boxes=()):
        return [Region("balloon", box, 0.9, "toy", np.ones((box.height, box.width), bool)) for box in text_boxes]


class Fill(Base):
    def __call__(self, image, mask):
        filled = image.copy()
        filled[mask] = 200
        return filled


class Add(Base):
    def __call__(self, image):
        return image + np.uint8(self.options.shift)


class Mix(Base):
    def __call__(self, first, last, times, *, prompt="", seed=0):
        calls.append(f"mix {len(times)}")
        self.context.warn("mixed, not drawn")
        mixed = [first + (last.astype(float) - first) * time for time in times]
        return np.rint(np.array(mixed)).astype(np.uint8).reshape(len(times), *first.shape)


class Eights(Mix):
    def __call__(self, first, last, times, **call):
        assert first.shape[0] % 8 == first.shape[1] % 8 == 0
        return super().__call__(first, last, times, **call)


class MixSequence(Mix):
    def sequence(self, images, times):
        images = iter(images)
        first = next(images)
        for last, inside in zip(images, times, strict=True):
            yield Mix.__call__(self, first, last, inside)
            first = last


class Fixed(Base):
    def __call__(self, first, last, times, *, prompt="", seed=0):
        calls.append(f"fixed {len(times)} {prompt} {seed}")
        return np.stack([np.full_like(first, seed % 251)] * len(times))


class Broken(Base):
    """Breaks its promise in the way its name's option says."""

    mode = ""

    def __call__(self, *inputs, **_):
        first = inputs[0]
        if Broken.mode == "shape":
            return np.zeros((3, *first.shape), np.float32)
        if Broken.mode == "type":
            return None
        if Broken.mode == "raise":
            raise RuntimeError("boom\nboom")
        if Broken.mode == "memory":
            raise MemoryError
        if Broken.mode == "import":
            raise ModuleNotFoundError("No module named 'ncnn'")
        if Broken.mode == "write":
            first[0, 0] = 7
        if Broken.mode == "outside":
            return first + np.uint8(1)
        return np.zeros((len(inputs[2]), *first.shape), np.uint8) if len(inputs) > 2 else first.copy()


class Toys:
    @hookimpl
    def animegen_detectors(self):
        return [DetectorSpec("toy-balloons", f"{HERE}:Balloons", "Text boxes.", finds="balloon")]

    @hookimpl
    def animegen_inpainters(self):
        return [StageSpec("fill", f"{HERE}:Fill", "Fills."), StageSpec("broken-fill", f"{HERE}:Broken", "Breaks.")]

    @hookimpl
    def animegen_preprocessors(self):
        return [StageSpec("add", f"{HERE}:Add", "Adds.", ToyOptions)]

    @hookimpl
    def animegen_interpolators(self):
        return [
            InterpolatorSpec("mix", f"{HERE}:Mix", "Mixes."),
            InterpolatorSpec("mix-sequence", f"{HERE}:MixSequence", "Mixes a sequence."),
            InterpolatorSpec("eights", f"{HERE}:Eights", "Sizes of eights.", needs=Needs(multiple_of=8)),
            InterpolatorSpec("fixed", f"{HERE}:Fixed", "Fixed.", frames=4, uses_prompt=True, uses_seed=True),
            InterpolatorSpec("broken", f"{HERE}:Broken", "Breaks."),
            InterpolatorSpec("absent", f"{HERE}:Nothing", "Is not there."),
        ]


@dataclass(frozen=True)
class FileOptions:
    file: str | None = option(None, "A file that decides the result.", file=True)


def _pair(size=(16, 20), other=None, **kwargs):
    height, width = size
    first = np.full((height, width, 3), 10, np.uint8)
    first[2:6, 3:9] = 90
    last = np.full((*(other or size), 3), 110, np.uint8)
    return PanelPair(Panel(first, (Box(3, 2, 9, 6),), "one"), Panel(last, (), "two"), **kwargs)


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    """This module, whose classes are the toys: ``toys.Mix``, ``toys.HERE``; where they are imported from."""
    module = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, HERE, module)
    Broken.mode = ""
    return module


@pytest.fixture(autouse=True)
def said():
    """What the toys have said: opened, closed, called."""
    calls.clear()
    return calls


@pytest.fixture
def registry():
    return Registry([("toys", Toys())])


@pytest.fixture
def pair():
    """``pair(size, other, **kwargs)``: two panels, the first with a text box; `other` is the size of the last."""
    return _pair


@pytest.fixture
def pipeline(registry):
    """``pipeline(out, force, **run)``: a pipeline of toys with these settings."""

    def make(out=None, force=False, **run):
        run = {"interpolator": "mix", "inpainter": "fill", "preprocessor": [], "frames": 5, "fps": "10", **run}
        return Pipeline(recipe="quick", settings={"run": run}, out=out, registry=registry, config=False, force=force)

    return make
