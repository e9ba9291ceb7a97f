"""Parameters from a file into AnimeInterp, which is known by its tensors and never by the file's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from animegen.errors import InputError
from animegen_animeinterp.network import AnimeInterp
from animegen_torch.checkpoints import load_into, match, read_state
from animegen_torch.known_models import name_of_model


def read_network(path: Path, *, hints: Sequence[str]) -> AnimeInterp:
    """The network in a file, in float32 on the processor, ready to run.

    Args:
        path: The published file (names that begin with ``module.``, under ``model_state_dict``) or the same tensors in
            any other wrapping.
        hints: What to type where it does not hold what it should.

    Raises:
        InputError: It is no file of parameters, or damaged, or of another model. Every name is compared both ways.
    """
    with torch.device("meta"):
        network = AnimeInterp()
    state = read_state(path, dtype=torch.float32)
    found = match(state, network, path=path, stage="AnimeInterp", describe=_describe, hints=hints)
    broken = [name for name, tensor in found.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise InputError(f"{path} holds values that are not numbers, in {broken[0]} first.", hint=hints)
    load_into(network, found, path=path, stage="AnimeInterp")
    return network.eval().requires_grad_(False)


def _describe(state: Mapping[str, Tensor]) -> str | None:
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if any(name.startswith("flownet.fnet.") for name in shapes) and not any(n.startswith("synnet.") for n in shapes):
        return "RFR, the flow of AnimeInterp alone"
    return name_of_model(shapes, but=("AnimeInterp",))
