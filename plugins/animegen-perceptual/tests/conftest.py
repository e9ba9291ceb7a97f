"""The published files with drawn parameters in their place. Only tests can make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("lpips")
pytest.importorskip("open_clip")
import torch
from safetensors.torch import save_file
from torchvision import models

from animegen_perceptual.clip_network import make_network
from animegen_perceptual.plugin import ALEX, CLIP, SQUEEZE, VGG16
from animegen_testing.seeded_weights import seeded_state

MAKERS = {ALEX.file: models.alexnet, VGG16.file: models.vgg16, SQUEEZE.file: models.squeezenet1_1}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _drawn(network: torch.nn.Module, only: str = "") -> dict[str, torch.Tensor]:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items() if name.startswith(only)}
    return {name: torch.from_numpy(array) for name, array in seeded_state(shapes).items()}


@pytest.fixture(scope="session")
def lpips_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Backbones such as the published ones; of their classifiers, which nobody reads, a little."""
    folder = tmp_path_factory.mktemp("weights")
    for file, make in MAKERS.items():
        with torch.device("meta"):
            network = make(weights=None)
        torch.save({**_drawn(network, "features."), "classifier.1.weight": torch.zeros(2, 2)}, folder / file)
    return {file: folder / file for file in MAKERS}


@pytest.fixture(scope="session")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """All of CLIP ViT-B/32, which is 605 MB: gone again at the end."""
    with torch.device("meta"):
        network = make_network()
    path = tmp_path_factory.mktemp("clip") / CLIP.file
    save_file(_drawn(network), path)
    yield {CLIP.file: path}
    path.unlink()


@pytest.fixture
def made(lpips_weights: dict[str, Path], stage_context: Callable[..., Any]) -> Callable[..., Any]:
    """A metric on LPIPS with drawn parameters: ``made(LpipsVgg, batch=2)``."""
    from animegen_perceptual.plugin import LpipsOptions

    def make(kind: type[Any], **options: Any) -> Any:
        return kind(LpipsOptions(**options), stage_context(lpips_weights))

    return make
