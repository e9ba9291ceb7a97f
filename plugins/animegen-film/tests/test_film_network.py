"""The network: its tensors are the published ones, and what makes it fast changes nothing but rounding."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from animegen_film.architecture import PUBLISHED, Architecture, plain_name
from animegen_film.layers import Doubling
from animegen_film.network import Film

MANIFESTS = Path(__file__).parent / "manifests"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def network(small: Architecture, seeded: Callable[..., Tensors]) -> Film:
    film = Film(small)
    film.load_state_dict(seeded())
    return film


def manifest(name: str) -> dict[str, tuple[tuple[int, ...], str]]:
    listed = json.loads(gzip.decompress((MANIFESTS / f"{name}.json.gz").read_bytes()))
    return {key: (tuple(shape), dtype) for key, (shape, dtype) in listed.items()}


def test_names_and_shapes_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        film = Film()
    ours = {name: tuple(tensor.shape) for name, tensor in film.state_dict().items()}
    assert ours == {name: shape for name, (shape, _) in manifest("film_net").items()}
    assert ours == PUBLISHED.shapes
    assert sum(tensor.numel() for tensor in film.parameters()) == 34_436_667


def test_the_repack_has_the_same_tensors_under_its_own_names() -> None:
    repack = manifest("repack-fp16")
    assert {plain_name(name): shape for name, (shape, _) in repack.items()} == PUBLISHED.shapes
    assert {dtype for _, dtype in repack.values()} == {"float16"}


def test_doubling_is_what_enlarging_and_then_a_convolution_is() -> None:
    torch.manual_seed(0)
    layer = Doubling(5, 7).requires_grad_(False)
    x = torch.randn(2, 5, 6, 9)
    plain = layer(x)
    layer.fuse()
    assert torch.allclose(layer(x), plain, atol=1e-5)
    assert plain.shape == (2, 7, 12, 18)
    # The original pads below and at the right alone: a constant picture is darker there and nowhere else.
    with torch.no_grad():
        layer.layer.weight.fill_(1)
        layer.layer.bias.zero_()  # type: ignore[union-attr]
    layer.fuse()
    flat = layer(torch.ones(1, 5, 3, 3))
    assert torch.equal(flat[..., :-1, :-1], torch.full((1, 7, 5, 5), 20.0))
    assert torch.equal(flat[..., -1, :-1], torch.full((1, 7, 5), 10.0)) and bool((flat[..., -1, -1] == 5).all())


@pytest.mark.parametrize("size", [(64, 64), (64, 192)])
def test_ready_for_inference_it_gives_the_same(size: tuple[int, int], network: Film) -> None:
    torch.manual_seed(1)
    pictures = torch.rand(2, 1, 3, *size)
    with torch.no_grad():
        plain = network(*pictures, 0.4)
        ready = network.prepare()(*pictures, 0.4)
    assert torch.allclose(ready, plain, atol=1e-5)
    assert ready.shape == (1, 3, *size) and ready.dtype == torch.float32


def test_it_can_be_trained_through(network: Film) -> None:
    pictures = torch.rand(2, 1, 3, 64, 64)
    network(*pictures).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@torch.no_grad()
def test_turned_round_in_time_motion_is_turned_round(network: Film) -> None:
    one, other = (network.encode(picture) for picture in torch.rand(2, 1, 3, 64, 128))
    there, back = network.motion(one, other), network.motion(other, one)
    for level, flow in enumerate(there.forward):
        assert torch.allclose(flow, back.backward[level], atol=1e-4)
        assert flow.shape == (1, 2, 64 >> level, 128 >> level)


@torch.no_grad()
def test_sides_that_do_not_fit_are_refused(network: Film) -> None:
    with pytest.raises(ValueError, match="multiples of 64"):
        network.encode(torch.rand(1, 3, 64, 100))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_half_precision_stays_close_and_flow_stays_exact(dtype: Any, network: Film) -> None:
    torch.manual_seed(2)
    pictures = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 16), scale_factor=8, mode="bilinear")[:, None]
    exact = network(*pictures)
    half = network.to(dtype).prepare()
    frames = half.encode(pictures[0]), half.encode(pictures[1])
    motion = half.motion(*frames)
    assert motion.forward[0].dtype == torch.float32 and frames[0].planes[0].dtype == dtype
    drawn = half.between(*frames, motion)
    assert drawn.dtype == torch.float32
    error = (drawn - exact).square().mean() / exact.var()
    assert float(error) < 1e-3
