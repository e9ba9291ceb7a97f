"""VGG19's layers: some of them, one by one, and quick."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch

from animegen.errors import InputError
from animegen_testing import seeded_weights
from animegen_torch.vgg19 import RELU, Vgg19, read_vgg19

PICTURE = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> Vgg19:
    network = Vgg19().eval().requires_grad_(False)
    seeded_weights.fill(network)
    return network


def some(network: Vgg19, layers: int, *, quick: bool = False) -> Vgg19:
    made = Vgg19(layers, quick=quick).eval().requires_grad_(False)
    made.load_state_dict({name: network.state_dict()[name] for name in made.state_dict()})
    return made


@pytest.mark.parametrize("layers", [1, 4, 5])
def test_the_first_few_layers_are_those_of_all(layers: int, network: Vgg19) -> None:
    found = some(network, layers)(PICTURE)
    assert len(found) == layers
    assert all(torch.equal(a, b) for a, b in zip(found, network(PICTURE), strict=False))


def test_layers_one_by_one_are_those_of_the_call_before_and_after_the_relu(network: Vgg19) -> None:
    before, after = network(PICTURE, before=True), list(network.each(PICTURE))
    assert len(before) == len(after) == len(RELU)
    assert all(torch.equal(a.relu(), b) for a, b in zip(before, after, strict=True))
    assert any((a < 0).any() for a in before)


@torch.inference_mode()
def test_quick_layers_differ_by_rounding(network: Vgg19) -> None:
    quick = some(network, 4, quick=True).to(memory_format=torch.channels_last)
    picture = torch.nn.functional.interpolate(PICTURE, scale_factor=5.0)
    for a, b in zip(quick(picture), network(picture), strict=False):
        assert (a - b).abs().max() < 1e-5 * b.abs().max()


def test_a_file_of_all_serves_for_some(network: Vgg19, tmp_path: Path) -> None:
    torch.save(network.state_dict() | {"classifier.0.bias": torch.zeros(2)}, tmp_path / "all.pth")
    found = read_vgg19(tmp_path / "all.pth", torch.device("cpu"), layers=2)
    assert all(torch.equal(a, b) for a, b in zip(found(PICTURE), network(PICTURE), strict=False))
    state = network.state_dict() | {"features.0.bias": torch.full((64,), torch.nan)}
    torch.save(state, tmp_path / "broken.pth")
    for told in ("No score was computed.", ""):
        with pytest.raises(InputError) as caught:
            read_vgg19(tmp_path / "broken.pth", torch.device("cpu"), told=told)
        assert caught.value.message.endswith(told or "first.")
