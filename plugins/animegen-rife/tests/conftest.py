"""Checkpoints with drawn parameters, in every form that the published ones have. Only tests can make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file

from animegen_rife.architecture import VERSIONS
from animegen_rife.plugin import RifeOptions
from animegen_rife.stage import Rife
from animegen_testing.seeded_weights import seeded_state

Tensors = dict[str, torch.Tensor]

SMALLEST = "4.15.lite"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def seeded() -> Callable[[str], Tensors]:
    """The tensors of a version without any beginning, drawn as for the golden cases (from names with ``module.``)."""
    made: dict[str, Tensors] = {}

    def make(version: str) -> Tensors:
        if version not in made:
            shapes = VERSIONS[version].shapes
            made[version] = {
                name: torch.from_numpy(array) for name, array in seeded_state(shapes, prefix="module.").items()
            }
        return dict(made[version])

    return make


@pytest.fixture(scope="session")
def checkpoint(seeded: Callable[[str], Tensors], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a version's file: ``checkpoint("4.6", rename=lambda name: ...)``; the same call gives the same file."""
    made: dict[object, Path] = {}

    def write(version: str, *, rename: Callable[[str], str] = "module.{}".format, suffix: str = ".pkl") -> Path:
        key = (version, tuple(map(rename, VERSIONS[version].shapes)), suffix)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("weights") / f"some{suffix}"
            state = {rename(name): tensor for name, tensor in seeded(version).items()}
            if suffix == ".safetensors":
                save_file(state, str(made[key]))
            else:
                torch.save(state, made[key])
        return made[key]

    return write


@pytest.fixture
def made(checkpoint: Callable[..., Path], stage_context: Callable[..., Any]) -> Callable[..., Rife]:
    """A stage with drawn parameters: ``made("4.6", dtype="bfloat16", batch=2)``."""

    def make(version: str = SMALLEST, *, dtype: str = "float32", **options: Any) -> Rife:
        return Rife(RifeOptions(file=str(checkpoint(version)), **options), stage_context(dtype=dtype))

    return make
