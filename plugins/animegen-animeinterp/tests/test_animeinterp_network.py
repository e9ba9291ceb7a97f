"""The network: the tensors of the published file, and files that are not it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from animegen.errors import InputError
from animegen_animeinterp.checkpoint import read_network
from animegen_animeinterp.matching.features import LAYERS
from animegen_animeinterp.network import AnimeInterp
from animegen_torch.vgg19 import Vgg19, read_vgg19

MANIFESTS = Path(__file__).parent / "manifests"
HINTS = ("fetch it again",)
Tensors = dict[str, torch.Tensor]


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    with gzip.open(MANIFESTS / f"manifest-{name}.json.gz", "rt") as file:
        return {tensor: tuple(shape) for tensor, (shape, _) in json.load(file).items()}


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_the_network_has_the_tensors_of_the_published_file() -> None:
    with torch.device("meta"):
        network = AnimeInterp()
        backbone = Vgg19()
    assert {f"module.{name}": shape for name, shape in shapes(network).items()} == manifest("anime_interp_full")
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert parts == {"flownet": 4_202_233, "feat_ext": 204_006, "synnet": 1_802_467}
    assert shapes(backbone) == manifest("vgg19-features")


def test_the_published_form_is_read(checkpoint: Path, seeded: Tensors) -> None:
    network = read_network(checkpoint, hints=HINTS)
    assert all(torch.equal(tensor, seeded[name]) for name, tensor in network.state_dict().items())
    assert not network.training and not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("wrapped", [False, True])
def test_other_wrappings_are_read(wrapped: bool, seeded: Tensors, tmp_path: Path) -> None:
    torch.save({"state_dict": seeded} if wrapped else seeded, tmp_path / "mine.pt")
    assert len(read_network(tmp_path / "mine.pt", hints=HINTS).state_dict()) == 220


def without(state: Tensors, start: str) -> Tensors:
    return {name: tensor for name, tensor in state.items() if not name.startswith(start)}


def test_other_files_are_told(seeded: Tensors, tmp_path: Path) -> None:
    flow = {name: tensor for name, tensor in seeded.items() if name.startswith("flownet.")}
    some = next(iter(seeded))
    cases = {
        "RFR, the flow of AnimeInterp alone": flow,
        "tensors are missing": without(seeded, "synnet.residual_model_tail"),
        "are not wanted": seeded | {"more.weight": torch.zeros(2)},
        "have another shape": seeded | {some: torch.zeros(1, 2)},
        "values that are not numbers": seeded | {some: torch.full_like(seeded[some], torch.nan)},
        "it holds RIFE": {"block0.conv0.0.0.weight": torch.zeros(2)},
        "no parameters by name": {},
    }
    for says, state in cases.items():
        torch.save(state, tmp_path / "some.ckpt")
        with pytest.raises(InputError) as caught:
            read_network(tmp_path / "some.ckpt", hints=HINTS)
        assert says in caught.value.message, says


def test_damaged_files_are_told(checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"<html>quota</html>"):
        (tmp_path / "some.ckpt").write_bytes(content)
        with pytest.raises(InputError):
            read_network(tmp_path / "some.ckpt", hints=HINTS)


def test_a_flow_from_the_network_alone_in_one_call_is_that_of_the_steps(seeded: Tensors) -> None:
    network = AnimeInterp().eval()
    network.load_state_dict(seeded)
    first, last = torch.rand(2, 1, 3, 64, 68, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        one, other = network.encode(first), network.encode(last)
        apart = network.draw(one, other, network.flows(one, other, iterations=2), 0.25)
        assert torch.equal(network(first, last, 0.25, iterations=2), apart)
        assert apart.shape == first.shape


def test_only_the_layers_that_are_asked_for_are_read(backbone: Path) -> None:
    network = read_vgg19(backbone, torch.device("cpu"), layers=LAYERS)
    picture = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    whole = read_vgg19(backbone, torch.device("cpu"))
    with torch.inference_mode():
        layers = network(picture)
        assert [tuple(layer.shape[1:]) for layer in layers] == [(64, 24, 32), (128, 12, 16), (256, 6, 8), (512, 3, 4)]
        assert all(torch.equal(a, b) for a, b in zip(layers, whole(picture), strict=False))
