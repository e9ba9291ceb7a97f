"""Seeded weights: the rules in words, and equality with the reference where it is at hand."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from animegen_testing.seeded_weights import fill, seeded_array, seeded_input, seeded_state

CASES = [
    ("block.conv.weight", (8, 3, 3, 3)),
    ("linear.weight", (4, 6)),
    ("block.norm.weight", (5,)),
    ("block.norm.bias", (5,)),
    ("block.norm.running_mean", (5,)),
    ("block.norm.running_var", (5,)),
    ("gate", ()),
    ("embedding.weight", (0, 3)),
]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The file that made the golden outputs (``ANIMEGEN_REFERENCE``, else ``../shared/reference``)."""
    beside = Path(__file__).parents[4] / "shared" / "reference"
    path = Path(os.environ.get("ANIMEGEN_REFERENCE", beside)) / "seeded_weights.py"
    if not path.is_file():
        pytest.skip(f"no reference at {path}")
    spec = importlib.util.spec_from_file_location("reference_seeded_weights", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_the_arrays_are_those_of_the_reference(reference: ModuleType, name: str, shape: tuple[int, ...]) -> None:
    ours, theirs = seeded_array(name, shape), reference.seeded_array(name, shape)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.tobytes() == theirs.tobytes()


def test_the_inputs_are_those_of_the_reference(reference: ModuleType) -> None:
    for bounds in ((-1.0, 1.0), (0.0, 255.0)):
        assert np.array_equal(seeded_input("x", (2, 5), *bounds), reference.seeded_input("x", (2, 5), *bounds))


def test_the_draws_do_not_move() -> None:
    """Numbers written down once, so that the rules hold where the reference is absent."""
    assert seeded_array("block.conv.weight", (2, 2)).ravel().tolist() == pytest.approx(CONV, abs=1e-7)
    assert seeded_array("block.norm.weight", (2,)).tolist() == pytest.approx(NORM, abs=1e-7)
    assert float(seeded_array("gate", ())) == pytest.approx(GATE, abs=1e-7)


CONV = [0.46688089, 0.68185794, 1.53892255, 0.5959487]
NORM = [1.04374695, 1.14862692]
GATE = 0.33884883


def test_each_kind_of_tensor_has_its_own_scale() -> None:
    wide = seeded_array("a.weight", (64, 100))
    assert wide.std() == pytest.approx(0.1, rel=0.05)
    assert seeded_array("norm.weight", (4000,)).mean() == pytest.approx(1, abs=0.01)
    assert seeded_array("norm.bias", (4000,)).mean() == pytest.approx(0, abs=0.01)
    assert seeded_array("norm.running_var", (4000,)).min() >= 1


def test_a_state_is_drawn_under_published_names() -> None:
    state = seeded_state({"w": (2, 3)}, prefix="module.")
    assert np.array_equal(state["w"], seeded_array("module.w", (2, 3)))


class Tensor:
    """As much of a tensor as `fill` touches, so that it is tried where torch is absent."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def is_floating_point(self) -> bool:
        return self.dtype.kind == "f"

    def copy_(self, other: Tensor) -> None:
        self.values[...] = other.values

    def to(self, dtype: Any) -> Tensor:
        return Tensor(self.values.astype(dtype))


def test_every_floating_tensor_is_filled_in_place_under_its_published_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(no_grad=nullcontext, from_numpy=Tensor))
    state = {"weight": Tensor(np.zeros(3, np.float32)), "half": Tensor(np.zeros((2, 2), np.float16)), "n": Tensor([7])}
    fill(SimpleNamespace(state_dict=lambda: state), "net.", published=lambda name: name.replace("weight", "gamma"))
    assert np.array_equal(state["weight"].values, seeded_array("net.gamma", (3,)))
    assert np.array_equal(state["half"].values, seeded_array("net.half", (2, 2)).astype(np.float16))
    assert state["n"].values.tolist() == [7]


def test_a_module_is_filled_in_place() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.BatchNorm1d(3)
    fill(module, "net.", published=lambda name: name.replace("weight", "gamma"))
    assert np.array_equal(module.bias.detach().numpy(), seeded_array("net.bias", (3,)))
    assert np.array_equal(module.weight.detach().numpy(), seeded_array("net.gamma", (3,)))
    assert int(module.num_batches_tracked) == 0
