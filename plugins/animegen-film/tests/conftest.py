"""Networks with drawn parameters, in every form that the published ones have. Only tests can make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file

from animegen_film import checkpoint as checkpoint_module
from animegen_film import stage as stage_module
from animegen_film.architecture import PUBLISHED, Architecture
from animegen_film.plugin import FilmOptions
from animegen_film.stage import FilmStage
from animegen_testing.seeded_weights import seeded_state

Tensors = dict[str, torch.Tensor]

SMALL = Architecture(filters=8, flow_filters=(8, 16, 32, 64))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small() -> Architecture:
    """The same network with an eighth of the channels, as the reduced golden cases have it."""
    return SMALL


@pytest.fixture(scope="session")
def seeded() -> Callable[..., Tensors]:
    """The tensors of a network under the port's names, drawn as for the golden cases."""

    def make(architecture: Architecture = SMALL) -> Tensors:
        return {name: torch.from_numpy(array) for name, array in seeded_state(architecture.shapes).items()}

    return make


@pytest.fixture(scope="session")
def published(seeded: Callable[..., Tensors], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole network as ComfyUI's repack has it: its names, float16, safetensors."""
    path = tmp_path_factory.mktemp("weights") / "film_net_fp16.safetensors"
    save_file({repacked(name): one.half().contiguous() for name, one in seeded(PUBLISHED).items()}, str(path))
    return path


@pytest.fixture(scope="session")
def small_file(seeded: Callable[..., Tensors], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as a state that torch.save wrote."""
    path = tmp_path_factory.mktemp("weights") / "small.pt"
    torch.save(seeded(), path)
    return path


@pytest.fixture
def made(
    small_file: Path, stage_context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., FilmStage]:
    """A stage of the small network: ``made(dtype="bfloat16", times="direct")``."""
    read = checkpoint_module.read_network
    monkeypatch.setattr(
        stage_module, "read_network", lambda path, **given: read(path, architecture=SMALL, **given), raising=True
    )

    def make(*, dtype: str = "float32", **options: Any) -> FilmStage:
        return FilmStage(FilmOptions(file=str(small_file), **options), stage_context(dtype=dtype))

    return make


def repacked(name: str) -> str:
    """A name of the port as ComfyUI's repack has it."""
    return name if "output_conv" in name else name.replace(".0.weight", ".conv.weight").replace(".0.bias", ".conv.bias")
