"""Backbones, of metrics above all: found or refused with everything a user must know, read strictly, run in float32.

A score from parameters that are not the published ones is worse than none, so nothing here has a way round a file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from animegen.errors import InputError, MissingError, UsageError
from animegen.weights.store import WeightStore
from animegen_torch.checkpoints import State, load_into, match, read_state
from animegen_torch.known_models import name_of_model
from animegen_torch.memory import is_out_of_memory, out_of_memory, release
from animegen_torch.precision import tf32

if TYPE_CHECKING:
    from animegen.stages import Context, Weight

M = TypeVar("M", bound=nn.Module)
UNSCORED = "No score was computed."


def backbone_file(context: Context, weight: Weight, *, metric: str) -> Path:
    """Where the backbone of a metric lies.

    Raises:
        MissingError: It is not here, or damaged: which metric, which file with which digest, the folders that were
            searched, what to type, and that no score was computed.
    """
    try:
        return context.weight(weight.file)
    except MissingError as error:
        known = f" (SHA-256 {weight.sha256})" if weight.sha256 else ""
        store = getattr(context, "weights", None)
        store = store if isinstance(store, WeightStore) else WeightStore()
        folders = ", ".join(str(folder) for folder in (*store.shared, store.folder))
        raise MissingError(
            f"{metric} needs its backbone {weight.file}{known}: {error.message} {UNSCORED}",
            hint=(*error.hints, f"searched: {folders}; ANIMEGEN_WEIGHTS names further folders"),
        ) from error


def read_parameters(
    path: Path,
    wanted: nn.Module | Mapping[str, Sequence[int]],
    *,
    name: str,
    ignore: Collection[str] = (),
    told: str = UNSCORED,
) -> State:
    """The tensors of a file that a network wants, in float32: all of them, of the right shapes, and finite.

    Args:
        path: A file of parameters by name.
        wanted: The network, or the shape of each tensor by the name that it has in the file.
        name: What it is, for messages: ``VGG19``.
        ignore: Regular expressions of names that may be in the file without being wanted.
        told: What follows from values that are not numbers; for the message.

    Raises:
        InputError: The file is damaged, of another network, lacks tensors, or holds values that are not numbers.
    """
    found = match(
        read_state(path, dtype=torch.float32),
        wanted,
        path=path,
        stage=name,
        ignore=ignore,
        describe=lambda state: name_of_model({key: tensor.shape for key, tensor in state.items()}),
    )
    broken = [key for key, tensor in found.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise InputError(
            f"{path} holds values that are not numbers, in {broken[0]} first. {told}".rstrip(),
            hint="animegen weights verify --all",
        )
    return found


def read_backbone(
    path: Path,
    make: Callable[[], M],
    device: torch.device,
    *,
    name: str,
    ignore: Collection[str] = (),
    told: str = UNSCORED,
) -> M:
    """A network with the parameters of a file, in float32 on `device`, ready to run.

    Args:
        make: Makes the network; called where nothing is allocated, so that it costs nothing.
        path, name, ignore, told: As for `read_parameters`, whose errors are raised.
    """
    with torch.device("meta"):
        network = make()
    parameters = read_parameters(path, network, name=name, ignore=ignore, told=told)
    load_into(network, parameters, path=path, stage=name)
    return network.to(device).eval().requires_grad_(False)


@contextmanager
def measuring(device: torch.device, metric: str, *, size: tuple[int, ...] = ()) -> Iterator[None]:
    """Within the block: no gradients, products in full float32, and a lack of memory is a ResourceError.

    Raises:
        ResourceError: The memory of the device does not suffice.
    """
    try:
        with torch.inference_mode(), tf32(False):
            yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        release(device)
        doing = f"on frames of {size[1]} × {size[0]}" if size else ""
        raise out_of_memory(
            device, metric, doing=doing, hints=("smaller frames need less", "or --device cpu")
        ) from error


def full_precision(context: Context, metric: str) -> None:
    """Scores are computed in float32 and in nothing else: whoever names another format is told.

    Raises:
        UsageError: Another format was asked for.
    """
    if context.dtype not in ("auto", "float32"):
        raise UsageError(
            f"{metric} does not compute in {context.dtype}: its score would be another one.", hint="leave --dtype out"
        )
