"""Runners of the golden cases, gathered from the files in ``runners/``.

Each file there may have ``RUNNERS`` (kind of case -> runner, see `animegen_testing.goldens`) and ``LAYERS`` (name of a
layer in ``blocks.npz`` -> function of the case and the layer's name prefix that gives the layer's output).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from animegen_testing.goldens import GoldenCase, Runner

Layer = Callable[[GoldenCase, str], Any]


@pytest.fixture(scope="session")
def golden_runners() -> Mapping[str, Runner]:
    """A runner for every kind of case in ``cases.json``."""
    runners: dict[str, Runner] = {}
    layers: dict[str, Layer] = {}
    for path in sorted((Path(__file__).parent / "runners").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"tooncrafter_runners_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for ours, theirs in ((runners, getattr(module, "RUNNERS", {})), (layers, getattr(module, "LAYERS", {}))):
            assert not ours.keys() & theirs.keys(), f"{path.name} repeats {sorted(ours.keys() & theirs.keys())}"
            ours.update(theirs)

    def blocks(case: GoldenCase) -> Mapping[str, Any]:
        # The case's prefix names the layers to run, each with what stands before its tensors' names.
        return {f"out.{name}": layers[name](case, prefix) for name, prefix in case.prefix.items()}

    return {**runners, "blocks": blocks}
