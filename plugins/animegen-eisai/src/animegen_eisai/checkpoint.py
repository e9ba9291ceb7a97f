"""Parameters from files into the networks that they belong to, which are known by their tensors, never by a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from animegen.errors import InputError
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.synthesis import SoftsplatLite
from animegen_torch.checkpoint_files import FETCH, read_file
from animegen_torch.checkpoints import State, load_into, names_of, unwrap
from animegen_torch.known_models import name_of_model
from animegen_torch.rfr import Rfr

M = TypeVar("M", bound=nn.Module)
SEED = 0

_COUNTERS = r".*\.num_batches_tracked$"


def read_synthesis(path: Path, *, hints: Sequence[str] = FETCH) -> SoftsplatLite:
    """SoftsplatLite from a bare state, or from what was trained, where it stands under ``ssl.``

    Raises:
        InputError: It is no file of parameters, damaged, or of another network; the message says of which.
    """
    return _read(path, SoftsplatLite, "SoftsplatLite of EISAI", ("feature_extractor.conv1.weight",), hints)


def read_refinement(path: Path, *, hints: Sequence[str] = FETCH) -> DistanceTransformModule:
    """The distance-transform module from a bare state, or from what was trained, where it stands under ``dtm.``"""
    name = "the distance-transform module of EISAI"
    return _read(path, DistanceTransformModule, name, ("net_nedt.net.0.weight",), hints)


def read_flow(path: Path, *, hints: Sequence[str] = FETCH) -> Rfr:
    """RFR from a file of AnimeInterp, whose other parts are left out, or of RFR alone."""
    return _read(path, Rfr, "RFR", ("attention2.conv1.weight", "fnet.conv1.weight"), hints)


def untrained() -> tuple[Rfr, SoftsplatLite, DistanceTransformModule]:
    """The networks with random parameters from a fixed seed."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(SEED)
        return Rfr(), SoftsplatLite(), DistanceTransformModule()


def _read(path: Path, make: Callable[[], M], name: str, signs: Sequence[str], hints: Sequence[str]) -> M:
    state = unwrap(read_file(path, hints=hints), path=path)
    with torch.device("meta"):
        network = make()
    prefix = _prefix(state, signs)
    if prefix is None:
        what = name_of_model(_shapes(state)) or names_of(state)
        raise InputError(f"{path} holds {_which(state) or what}, not {name}.", hint=hints)
    part = {known.removeprefix(prefix): tensor for known, tensor in state.items() if known.startswith(prefix)}
    # Counts of training steps change nothing, and a converted file may lack them.
    for known, tensor in network.state_dict().items():
        if known.endswith("num_batches_tracked"):
            part.setdefault(known, torch.zeros((), dtype=tensor.dtype))
    wide: State = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in part.items()}
    broken = [key for key, tensor in wide.items() if tensor.is_floating_point() and not bool(tensor.isfinite().all())]
    if broken:
        raise InputError(f"{path} holds values that are not numbers, in {broken[0]} first.", hint=hints)
    load_into(network, wide, path=path, stage=name, ignore=(_COUNTERS,))
    return network.eval().requires_grad_(False)


def _prefix(state: Mapping[str, Tensor], signs: Sequence[str]) -> str | None:
    """What stands before the names of a network's tensors, the shortest; None where one of `signs` is not there."""
    found = [{name.removesuffix(sign) for name in state if name == sign or name.endswith(f".{sign}")} for sign in signs]
    everywhere = set.intersection(*found)
    return min(everywhere, key=len) if everywhere else None


def _which(state: Mapping[str, Tensor]) -> str | None:
    """Which part of EISAI `state` is, where it is one."""
    for sign, part in (
        ("feature_extractor.conv1.weight", "SoftsplatLite of EISAI"),
        ("net_nedt.net.0.weight", "the distance-transform module of EISAI"),
        ("update_block.gru.convz1.weight", "RFR or AnimeInterp"),
    ):
        if any(name.endswith(sign) for name in state):
            return part
    return None


def _shapes(state: Mapping[str, Tensor]) -> dict[str, Sequence[int]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
