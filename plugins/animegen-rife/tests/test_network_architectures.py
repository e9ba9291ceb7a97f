"""Architectures as data: the tensors of every published file, and telling a file's network from them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from animegen_rife.architecture import ARCHITECTURES, VERSIONS, Architecture, plain_name, recognise
from animegen_rife.network import IFNet

MANIFESTS = sorted((Path(__file__).parent / "manifests").glob("*.json.gz"))
PARAMETERS = {"4.0": 5_160_980, "4.6": 5_306_256, "4.20": 15_376_512, "4.25": 5_664_776, "4.25.heavy": 21_663_528}


def manifest(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published file, as they are written in it."""
    with gzip.open(path, "rt") as file:
        return {name: tuple(shape) for name, (shape, _) in json.load(file).items()}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_published_file_is_recognised_and_its_tensors_are_the_networks(path: Path) -> None:
    shapes = manifest(path)
    found = recognise(shapes)
    assert found is not None
    version = path.name.removesuffix(".json.gz").removeprefix("repack-").removesuffix("-with-refiner").removeprefix("v")
    assert found is VERSIONS[version]
    ours = {plain_name(name): shape for name, shape in shapes.items()}
    refiner = {name for name in ours if name.startswith(("contextnet.", "unet."))}
    assert bool(refiner) == ("refiner" in path.name)
    assert found.shapes == {name: shape for name, shape in ours.items() if name not in refiner}


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_the_network_has_the_tensors_that_its_architecture_tells(architecture: Architecture) -> None:
    with torch.device("meta"):
        network = IFNet(architecture)
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == architecture.shapes
    if architecture.name in PARAMETERS:
        assert sum(tensor.numel() for tensor in network.parameters()) == PARAMETERS[architecture.name]


def test_there_are_36_versions_of_17_networks() -> None:
    assert len(VERSIONS) == sum(len(one.versions) for one in ARCHITECTURES) == 36
    assert len({frozenset(one.shapes.items()) for one in ARCHITECTURES}) == len(ARCHITECTURES) == 17


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_a_file_that_lacks_a_tensor_or_has_one_of_another_shape_is_not_recognised(architecture: Architecture) -> None:
    for name, shape in list(architecture.shapes.items())[:: len(architecture.shapes) // 7]:
        fewer = {other: size for other, size in architecture.shapes.items() if other != name}
        assert recognise(fewer) is None
        assert recognise(fewer | {name: (*shape, 1)}) is None
    assert recognise({}) is None


@pytest.mark.parametrize(
    ("version", "scale", "multiple"),
    [("4.6", 1, 32), ("4.6", 0.5, 64), ("4.6", 2, 32), ("4.25", 1, 64), ("4.25", 0.25, 256), ("4.25.lite", 1, 128)],
)
def test_the_padding_grows_as_the_scale_falls(version: str, scale: float, multiple: int) -> None:
    assert VERSIONS[version].padding_multiple(scale) == multiple
