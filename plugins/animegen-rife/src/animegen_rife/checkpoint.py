"""Parameters from a file into the network they belong to, which is seen from the tensors and never from the name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from animegen.errors import InputError
from animegen_rife.architecture import ARCHITECTURES, Architecture, plain_name, recognise
from animegen_rife.network import IFNet
from animegen_torch.checkpoint_files import read_file
from animegen_torch.checkpoints import State, load_into, names_of, unwrap
from animegen_torch.known_models import name_of_model
from animegen_torch.untrained import draw_parameters


def read_network(path: Path, *, asked: str | None, hints: Sequence[str]) -> IFNet:
    """The network in a file, with its parameters, in float32 on the processor, ready to run.

    Args:
        path: A file of any of the published kinds: names that begin with ``module.``, ``flownet.`` or nothing, blocks
            called ``block0`` or ``blocks.0``, safetensors or a pickle (read weights-only). What belongs to training
            or to the refiner of 4.0 to 4.4 is left out.
        asked: The version that should be in it, or None for any. Versions that share a network cannot be told apart.
        hints: What to type where it does not hold what it should.

    Raises:
        InputError: It is no file of parameters, or damaged, or of another model, or of another version than `asked`.
    """
    state = _plain(unwrap(read_file(path, hints=hints), path=path), path)
    architecture = recognise({name: tuple(tensor.shape) for name, tensor in state.items()})
    nearest = max(ARCHITECTURES, key=lambda one: len(_fitting(one, state)))
    # A 4.0 that lacks a slope still holds all of 4.2: what fits most decides, not what is complete.
    if architecture is None or len(_fitting(nearest, state)) > len(architecture.shapes):
        raise InputError(f"{path} {_what_it_holds(state, nearest)}.", hint=hints)
    if asked is not None and asked not in architecture.versions:
        raise InputError(
            f"{path} holds the network of {_versions(architecture)}, not of {asked}.",
            hint=(f"-o rife.model={architecture.name} if that is what you want", *hints),
        )
    wanted = {name: state[name].to(torch.float32) for name in architecture.shapes}
    broken = [name for name, tensor in wanted.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise InputError(f"{path} holds values that are not numbers, in {broken[0]} first.", hint=hints)
    with torch.device("meta"):
        network = IFNet(architecture)
    load_into(network, wanted, path=path, stage=f"RIFE {architecture.name}")
    return network.eval().requires_grad_(False)


def untrained_network(architecture: Architecture) -> IFNet:
    """A network with random parameters, the same each time, in float32 on the processor."""
    with torch.device("meta"):
        network = IFNet(architecture)
    draw_parameters(network, lambda _: torch.float32)
    return network


def _plain(state: Mapping[str, Tensor], path: Path) -> State:
    plain: State = {}
    for name, tensor in state.items():
        short = plain_name(name)
        if short in plain:
            raise InputError(
                f"{path} holds two networks: {short} is there twice.", hint="save the one to be used alone"
            )
        plain[short] = tensor
    return plain


def _versions(architecture: Architecture) -> str:
    *others, last = architecture.versions
    return f"{', '.join(others)} and {last}" if others else last


def _what_it_holds(state: Mapping[str, Tensor], nearest: Architecture) -> str:
    """Predicate of a sentence about tensors that are no whole network of RIFE 4.x."""
    fitting = _fitting(nearest, state)
    if len(fitting) * 2 > len(nearest.shapes):
        lacking = [name for name in nearest.shapes if name not in state]
        other = [name for name in nearest.shapes if name in state and name not in fitting]
        total = len(nearest.shapes)
        told = [
            f"{len(names)} of its {total} tensors {what}, {names[0]} first"
            for names, what in ((lacking, "are missing"), (other, "have another shape"))
            if names
        ]
        return f"looks like RIFE {_versions(nearest)}, but {' and '.join(told)}"
    model = name_of_model({name: tensor.shape for name, tensor in state.items()}, but=("RIFE",))
    if model is not None:
        return f"holds {model}, not RIFE 4.x"
    return f"holds no network of RIFE 4.0 to 4.26, but {names_of(state)}"


def _fitting(architecture: Architecture, state: Mapping[str, Tensor]) -> set[str]:
    return {
        name
        for name, shape in architecture.shapes.items()
        if name in state and tuple(state[name].shape) == tuple(shape)
    }
