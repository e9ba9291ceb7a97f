"""The published files with drawn parameters in their place. Only tests can make them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("torchvision")
import torch
from torchvision.models.optical_flow import raft_large

from animegen_testing.seeded_weights import seeded_state
from animegen_video_metrics.i3d import I3d
from animegen_video_metrics.plugin import I3D, RAFT


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files such as the published ones."""
    folder = tmp_path_factory.mktemp("weights")
    for weight, make in ((I3D, I3d), (RAFT, lambda: raft_large(weights=None))):
        with torch.device("meta"):
            network = make()
        shapes = {name: tuple(t.shape) for name, t in network.state_dict().items() if t.is_floating_point()}
        state = {name: torch.from_numpy(array) for name, array in seeded_state(shapes).items()}
        counters = {name: torch.tensor(1) for name in network.state_dict() if name not in shapes}
        torch.save({**state, **counters}, folder / weight.file)
    return {weight.file: folder / weight.file for weight in (I3D, RAFT)}
