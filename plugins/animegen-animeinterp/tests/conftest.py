"""Files of parameters that were drawn, as only tests can make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from animegen_animeinterp.network import AnimeInterp
from animegen_animeinterp.plugin import AnimeInterpOptions
from animegen_animeinterp.stage import AnimeInterpolator
from animegen_animeinterp.weights import ANIMEINTERP
from animegen_testing.seeded_weights import seeded_state
from animegen_torch.published import VGG19
from animegen_torch.vgg19 import Vgg19

Tensors = dict[str, torch.Tensor]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def seeded() -> Tensors:
    """The tensors of the published file without ``module.``, drawn as for the golden cases."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in AnimeInterp().state_dict().items()}
    return {name: torch.from_numpy(array) for name, array in seeded_state(shapes, prefix="module.").items()}


@pytest.fixture(scope="session")
def checkpoint(seeded: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the published one is: wrapped, with ``module.``, and with an entry that is no tensor."""
    path = tmp_path_factory.mktemp("weights") / "some.ckpt"
    state = {f"module.{name}": tensor for name, tensor in seeded.items()}
    torch.save({"epoch": 49, "model_state_dict": state}, path)
    return path


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like torchvision's VGG19, with a layer that nobody asks for."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Vgg19().state_dict().items()}
    state = {name: torch.from_numpy(array) for name, array in seeded_state(shapes).items()}
    path = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save(state | {"classifier.0.bias": torch.zeros(3)}, path)
    return path


@pytest.fixture(scope="session")
def weights(checkpoint: Path, backbone: Path) -> dict[str, Path]:
    """Both files under their published names, for a context."""
    return {ANIMEINTERP.file: checkpoint, VGG19.file: backbone}


@pytest.fixture
def made(weights: dict[str, Path], stage_context: Callable[..., Any]) -> Callable[..., AnimeInterpolator]:
    """A stage with drawn parameters: ``made(matching=False, dtype="bfloat16")``."""

    def make(*, dtype: str = "float32", **options: Any) -> AnimeInterpolator:
        return AnimeInterpolator(AnimeInterpOptions(**options), stage_context(weights, dtype=dtype))

    return make
