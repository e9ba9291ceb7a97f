"""The published file with drawn parameters in its place. Only tests can make it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from animegen_testing import seeded_weights
from animegen_torch.published import VGG19
from animegen_torch.vgg19 import Vgg19
from animegen_vgg_style.plugin import StyleOptions
from animegen_vgg_style.stage import StyleVgg19


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file such as the published one: classifier and unused convolutions are in it too, smaller."""
    network = Vgg19()
    seeded_weights.fill(network)
    rest = {"features.30.weight": torch.zeros(2, 2), "classifier.0.weight": torch.zeros(2, 2)}
    path = tmp_path_factory.mktemp("weights") / VGG19.file
    torch.save({**network.state_dict(), **rest}, path)
    return {VGG19.file: path}


@pytest.fixture
def made(weights: dict[str, Path], stage_context: Callable[..., Any]) -> Callable[..., Any]:
    """A metric with drawn parameters: ``made(StyleFloor, shorter=96)``."""

    def make(kind: type[Any] = StyleVgg19, **options: Any) -> Any:
        return kind(StyleOptions(**options), stage_context(weights))

    return make
