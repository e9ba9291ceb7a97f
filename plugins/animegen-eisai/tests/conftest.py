"""Networks with drawn parameters, and files of them in every published form. Only tests can make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from animegen.imageio import write_image
from animegen_eisai.data.manifest import TripletRow, write_manifest
from animegen_eisai.plugin import EisaiOptions
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.stage import Eisai
from animegen_eisai.synthesis import SoftsplatLite
from animegen_testing.seeded_weights import seeded_state
from animegen_torch.rfr import Rfr

Tensors = dict[str, torch.Tensor]

H, W = 128, 160
"""Of the triplets to learn from."""
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


def _drawing(x: float, seed: int) -> np.ndarray:
    """A box with a dark outline on plain ground."""
    generator = np.random.default_rng(seed)
    ground, colour = generator.integers(150, 250, 3), generator.integers(40, 220, 3)
    picture = np.broadcast_to(ground, (H, W, 3)).astype(np.uint8).copy()
    left, top = round(x), 30 + 5 * seed
    picture[top : top + 50, left : left + 44] = 10
    picture[top + 3 : top + 47, left + 3 : left + 41] = colour
    return picture


@pytest.fixture(scope="session")
def drawing() -> Callable[..., np.ndarray]:
    """``drawing(x, seed)``: a box with a dark outline, (128, 160, 3) uint8: the least in which lines are found."""
    return _drawing


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four triplets as ``animegen data rrld`` leaves them, with true flows of a box that moves 16 pixels."""
    folder = tmp_path_factory.mktemp("material")
    rows = []
    for seed in range(4):
        slots = (3 * seed + 1, 3 * seed + 2, 3 * seed + 3)
        name = "-".join(f"{slot:06d}" for slot in slots)
        for k, slot in enumerate(slots):
            write_image(folder / "clip" / "images" / name / f"{slot:06d}.png", _drawing(30 + 8 * k, seed))
        flows = torch.zeros(2, 2, H, W)
        top = 30 + 5 * seed
        flows[0, 1, top : top + 50, 46:90] = -16
        flows[1, 1, top : top + 50, 30:74] = 16
        (folder / "clip" / "flows").mkdir(exist_ok=True)
        torch.save(flows, folder / "clip" / "flows" / f"{name}.pt")
        rows.append(TripletRow("clip", slots, 0.0, 0, f"clip/images/{name}", f"clip/flows/{name}.pt", 0.1, 0.1))
    write_manifest(folder, rows)
    return folder
