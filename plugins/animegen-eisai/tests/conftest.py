"""Networks with drawn parameters, and files of them in every published form. Only tests can make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from animegen_eisai.plugin import EisaiOptions
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.stage import Eisai
from animegen_eisai.synthesis import SoftsplatLite
from animegen_testing.seeded_weights import seeded_state
from animegen_torch.rfr import Rfr

Tensors = dict[str, torch.Tensor]

NETWORKS: dict[str, tuple[type[torch.nn.Module], str]] = {
    "ssl": (SoftsplatLite, ""),
    "dtm": (DistanceTransformModule, ""),
    "flow": (Rfr, "module.flownet."),
}
"""Each with what stands before the names when its parameters are drawn."""


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def seeded() -> Callable[[str], Tensors]:
    """The tensors of ``ssl``, ``dtm`` or ``flow``, without any beginning."""

    def make(name: str) -> Tensors:
        kind, prefix = NETWORKS[name]
        with torch.device("meta"):
            shapes = kind().state_dict()
        drawn = {key: tuple(one.shape) for key, one in shapes.items() if one.is_floating_point()}
        state = {key: torch.from_numpy(array) for key, array in seeded_state(drawn, prefix).items()}
        return {key: state.get(key, torch.zeros((), dtype=one.dtype)) for key, one in shapes.items()}

    return make


@pytest.fixture(scope="session")
def files(seeded: Callable[[str], Tensors], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The three published files with drawn parameters, by their names; that of AnimeInterp with a stranger in it."""
    folder = tmp_path_factory.mktemp("eisai")
    flow = {f"module.flownet.{name}": tensor for name, tensor in seeded("flow").items()}
    flow["module.feat_ext.conv1.weight"] = torch.zeros(32, 3, 3, 3)
    contents: dict[str, Any] = {
        "eisai_ssl.pt": seeded("ssl"),
        "eisai_dtm.pt": seeded("dtm"),
        "eisai_anime_interp_full.ckpt": {"model_state_dict": flow, "epoch": 3},
    }
    for name, content in contents.items():
        torch.save(content, folder / name)
    return {name: folder / name for name in contents}


@pytest.fixture
def made(files: dict[str, Path], stage_context: Callable[..., Any]) -> Callable[..., Eisai]:
    """A stage with drawn parameters: ``made(size="own", iterations=2)``."""

    def make(*, dtype: str = "float32", **options: Any) -> Eisai:
        values = {"size": "own", "iterations": 2, **options}
        return Eisai(EisaiOptions(**values), stage_context(weights=files, dtype=dtype))

    return make
