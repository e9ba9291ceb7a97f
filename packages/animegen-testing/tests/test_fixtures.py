"""The fixtures, used as an author of a plugin uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from animegen import StageSpec, Weight, hookimpl
from animegen.errors import MissingError
from animegen.media import PanelPair, is_image
from animegen.registry import Registry
from animegen_testing.context import FakeContext
from animegen_testing.contract import ContractWarning, StageContract, plugin_name


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Makes the light module of a plugin with one preprocessor."""

    def make(call: Callable[..., Any], **record: Any) -> ModuleType:
        class Made:
            def __init__(self, options: Any, context: Any) -> None:
                for weight in record.get("weights", ()):
                    context.weight(weight.file)

            def __call__(self, image: Any) -> Any:
                return call(image)

        module = ModuleType("animegen_fixture_plugin")
        spec = StageSpec("made", f"{module.__name__}:Made", "For tests.", **record)
        vars(module).update(Made=Made, animegen_preprocessors=hookimpl(lambda: [spec]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module

    return make


def ignored(image: Any) -> Any:
    return image.copy()


pytestmark = pytest.mark.filterwarnings("ignore::animegen_testing.contract.ContractWarning")


def test_a_plugin_that_keeps_the_contract_passes(
    stage_contract: StageContract, plugin: Callable[..., ModuleType]
) -> None:
    findings = stage_contract(plugin(ignored))
    assert sum(finding.level == "ok" for finding in findings) > 5


def test_a_plugin_that_breaks_it_fails_with_what_is_wrong(
    stage_contract: StageContract, plugin: Callable[..., ModuleType]
) -> None:
    with pytest.raises(pytest.fail.Exception) as caught:
        stage_contract(plugin(lambda image: image.astype(np.float32)))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("animegen-fixture-plugin breaks the contract of stages (")
    assert "shape: animegen-fixture-plugin:made returned (37, 53, 3) float32; expected (37, 53, 3) uint8" in lines[1]


def test_what_could_not_be_checked_is_a_warning(
    stage_contract: StageContract, plugin: Callable[..., ModuleType], tmp_path: Path
) -> None:
    module = plugin(ignored, weights=(Weight("model.bin", (), "MIT"),))
    with pytest.warns(ContractWarning, match=r"model\.bin, which is not here"):
        stage_contract(module, weights={})
    (tmp_path / "model.bin").write_bytes(b"any bytes")
    findings = stage_contract(module, weights={"model.bin": tmp_path / "model.bin"})
    assert any(finding.check == "shape" and finding.level == "ok" for finding in findings)


def test_options_for_a_stage_that_is_not_offered_are_refused(
    stage_contract: StageContract, plugin: Callable[..., ModuleType]
) -> None:
    with pytest.raises(ValueError, match="does not offer"):
        stage_contract(plugin(ignored), options={"maid": {"steps": 2}})


def test_a_registry_sees_only_what_it_is_given(
    isolated_registry: Callable[..., Registry], plugin: Callable[..., ModuleType]
) -> None:
    registry = isolated_registry(plugin(ignored))
    assert [stage.full_name for stage in registry.stages()] == ["animegen-fixture-plugin:made"]
    assert plugin_name(object()) == "object"


def test_a_context_remembers_what_a_stage_says(stage_context: Callable[..., FakeContext], tmp_path: Path) -> None:
    context = stage_context({"a.bin": tmp_path / "a.bin"}, devices=("cuda:0", "cpu"), dtype="float16")
    context.warn("thin ice")
    context.progress(1, 4)
    assert (context.warnings, context.progress_calls) == (["thin ice"], [(1, 4, "steps")])
    assert context.weight("a.bin") == tmp_path / "a.bin"
    with pytest.raises(MissingError) as caught:
        context.weight("b.bin")
    assert "animegen weights fetch" in caught.value.hints[0]


@pytest.mark.parametrize("pattern", ["drawing", "grey", "screentone", "noise", "blank"])
def test_toy_images_are_images_and_the_same_each_time(toy_image: Callable[..., Any], pattern: str) -> None:
    image = toy_image(pattern, height=31, width=47)
    assert is_image(image)
    assert image.shape == (31, 47, 3)
    assert image.flags.c_contiguous
    assert np.array_equal(image, toy_image(pattern, height=31, width=47))
    assert (pattern == "blank") == (len(np.unique(image)) == 1)


def test_the_tiny_pair_differs_where_the_ring_moves(tiny_pair: PanelPair) -> None:
    first, last = tiny_pair.first.image, tiny_pair.last.image
    assert first.shape == last.shape == (48, 64, 3)
    changed = (np.abs(first.astype(int) - last) > 64).any(axis=2)
    assert 0.02 < changed.mean() < 0.3


def test_seeded_weights_are_at_hand(seeded_weights: Any) -> None:
    assert seeded_weights.seeded_array("a", (2,)).shape == (2,)


def test_code_runs_alone(run_alone: Callable[..., str]) -> None:
    code = "import os; print(given['size'] * 2, os.getpid())"
    doubled, process = map(int, run_alone(code, size=4).split())
    assert doubled == 8
    assert process != os.getpid()
    with pytest.raises(AssertionError, match="KeyError: 'other'"):
        run_alone("given['other']", size=4)


def test_the_pytest_plugin_imports_nothing_but_pytest() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import animegen_testing.pytest_plugin; "
        "print(sorted(n for n in set(sys.modules) - before if not n.startswith('animegen_testing')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
