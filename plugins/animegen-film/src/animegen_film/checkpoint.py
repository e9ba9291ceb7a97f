"""Parameters from a file into the network: of the ports to PyTorch, or of the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from animegen.errors import InputError
from animegen_film.architecture import PUBLISHED, Architecture, from_tensorflow, plain_name
from animegen_film.network import Film
from animegen_film.tensorflow_files import Bundle, is_bundle
from animegen_torch.checkpoints import State, load_into
from animegen_torch.known_models import name_of_model
from animegen_torch.tensor_files import TensorFile
from animegen_torch.untrained import draw_parameters


def read_network(
    path: Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    hints: Sequence[str] = (),
    architecture: Architecture = PUBLISHED,
) -> Film:
    """The network with the parameters of a file, not yet prepared for inference.

    Args:
        path: safetensors with the names of ComfyUI's repack or of the port; a .pt of the port, be it a state or a
            TorchScript archive, of which nothing is run; the index (or a data file) of the variables of a SavedModel of
            the original.
        dtype: What the network computes in.
        device: Where it goes.
        hints: What to type where the file does not hold what it should.
        architecture: Sizes of the network.

    Raises:
        InputError: It is no file of parameters, or damaged, or of another model.
    """
    if path.name == "saved_model.pb":
        raise InputError(
            f"{path} holds the graph of a SavedModel; its parameters lie beside it.",
            hint=f"-o film.file={path.parent / 'variables' / 'variables.index'}",
        )
    state = _original(path, architecture) if is_bundle(path) else _port(path, hints)
    with torch.device("meta"):
        network = Film(architecture)
    broken = [name for name, tensor in state.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise InputError(f"{path} holds values that are not numbers, in {broken[0]} first.", hint=hints)
    load_into(network, state, path=path, stage="FILM", describe=_describe)
    return network.to(device, dtype).eval().requires_grad_(False)


def untrained_network(
    *, dtype: torch.dtype, device: torch.device | str = "cpu", architecture: Architecture = PUBLISHED
) -> Film:
    """The network with random parameters, the same each time."""
    with torch.device("meta"):
        network = Film(architecture)
    draw_parameters(network, lambda _: dtype, device=device)
    return network


def _port(path: Path, hints: Sequence[str]) -> State:
    file = TensorFile.open(path, programs=True, **({"hints": hints} if hints else {}))
    found: State = {}
    for name, tensor in file.read(file.state()):
        short = plain_name(name)
        if short in found:
            raise InputError(f"{path} holds two networks: {short} is there twice.", hint=hints)
        found[short] = tensor.to(torch.float32)
    return found


def _original(path: Path, architecture: Architecture) -> State:
    """The original's variables; kernels are (kh, kw, in, out) there."""
    bundle = Bundle(path)
    names = from_tensorflow(bundle.names, architecture)
    if not names:
        some = ", ".join(list(bundle.names)[:3])
        raise InputError(
            f"{bundle.path} holds no variables of FILM, but {len(bundle.names)} others ({some}, …).",
            hint="film_net/Style/saved_model/variables/variables.index is that of the published one",
        )
    state = bundle.read(names)
    return {name: one.permute(3, 2, 0, 1).contiguous() if one.ndim == 4 else one for name, one in state.items()}


def _describe(state: Mapping[str, Tensor]) -> str | None:
    return name_of_model({name: tensor.shape for name, tensor in state.items()}, but=("FILM",))
