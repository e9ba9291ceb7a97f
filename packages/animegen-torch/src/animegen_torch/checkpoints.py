"""Parameters from published files into networks: found among what else a file holds, compared, and handed over."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from animegen.errors import InputError, StageError
from animegen_torch.checkpoint_files import read_file
from animegen_torch.stored import Stored

T = TypeVar("T")
State = dict[str, Tensor]
"""Tensors by name, as `nn.Module.state_dict` gives them."""

NESTED = ("state_dict", "model_state_dict", "params_ema", "ema", "params", "model", "network", "net", "generator")
"""Names under which training programs put the parameters, the most wanted first: averaged ones before the last."""

Describe = Callable[[Mapping[str, Tensor]], str | None]
"""Says what a state is (``the parameters of RIFE 4.25``), or None where it does not know."""


def read_state(
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    nested: Sequence[str] = NESTED,
    strip: Sequence[str] = ("module.",),
    only: str = "",
    mmap: bool = True,
) -> State:
    """The parameters in a file, whatever they are wrapped in.

    Args:
        path: A safetensors file, or what torch.save wrote (read weights-only).
        device: Where the tensors go.
        dtype: What floating tensors become, one after another so that no second copy of all exists; None leaves them.
        nested: Names to look under, the most wanted first, at any depth.
        strip: Beginnings that are taken off the names.
        only: Keep the names that begin so (after `strip`), without that beginning: one part of a larger file.
        mmap: Leave tensors on disk until they are used, where that is possible.

    Raises:
        InputError: The file is no checkpoint, is damaged, holds programs, or has no tensors under these names.
    """
    state = unwrap(read_file(path, device=device, mmap=mmap), nested=nested, path=path)
    state = strip_prefixes(state, strip)
    if only:
        part = {name.removeprefix(only): tensor for name, tensor in state.items() if name.startswith(only)}
        if not part:
            raise InputError(f"{path} has nothing under {only!r}; it holds {names_of(state)}.")
        state = part
    if dtype is not None:
        for name in state:  # one by one: each old tensor goes before the next new one comes
            if state[name].is_floating_point():
                state[name] = state[name].to(dtype)
    return state


def unwrap(content: Any, *, nested: Sequence[str] = NESTED, path: Path | str = "the file") -> State:
    """The tensors by name in what a checkpoint holds; optimizers, counters and settings are left out.

    Raises:
        InputError: There are none; the message says what there is.
    """
    found = find_tensors(content, Tensor, nested)
    if found is None:
        raise InputError(
            f"{path} holds no parameters by name: {contents_of(content)}.",
            hint="a state_dict is needed, alone or under a name such as state_dict or model",
        )
    return found


def strip_prefixes(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> State:
    """`state` with each of `prefixes`, in their order, taken off the names that begin with it.

    Raises:
        InputError: Two names become the same.
    """
    result: State = {}
    for name, tensor in state.items():
        short = name
        for prefix in prefixes:
            short = short.removeprefix(prefix)
        if short in result:
            raise InputError(f"two tensors are called {short} once {', '.join(prefixes)} is taken off.")
        result[short] = tensor
    return result


def match(
    state: Mapping[str, Tensor],
    wanted: nn.Module | Mapping[str, Sequence[int]],
    *,
    path: Path | str = "the file",
    stage: str = "this network",
    ignore: Collection[str] = (),
    describe: Describe | None = None,
    hints: Sequence[str] = ("animegen weights verify --all checks the files that are there",),
) -> State:
    """The tensors of `state` that a network wants, all there and of the right shape.

    Args:
        state: From `read_state`.
        wanted: The network, or the shape of each tensor by name.
        path: For the message.
        stage: What the tensors should belong to, e.g. ``RIFE 4.25``.
        ignore: Regular expressions; names that one of them matches from the beginning may be there without being
            wanted (parts of training, heads that are never used).
        describe: Asked what the state is instead, when it does not fit.

    Raises:
        InputError: Names are missing, unexpected or of the wrong shape: how many of each, and the first few.
    """
    shapes = (
        {name: tuple(tensor.shape) for name, tensor in wanted.state_dict().items()}
        if isinstance(wanted, nn.Module)
        else {name: tuple(shape) for name, shape in wanted.items()}
    )
    missing = [name for name in shapes if name not in state]
    left_out = [re.compile(pattern) for pattern in ignore]
    unexpected = [name for name in state if name not in shapes and not any(pattern.match(name) for pattern in left_out)]
    wrong = [
        f"{name} is {_shape(state[name].shape)}, not {_shape(shape)}"
        for name, shape in shapes.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    if not (missing or unexpected or wrong):
        return {name: state[name] for name in shapes}
    what = describe(state) if describe is not None else None
    told = [f"it holds {what}"] if what else []
    told += [
        f"{len(names)} of {total} {kind} ({_few(names)})"
        for names, total, kind in (
            (missing, len(shapes), "tensors are missing"),
            (wrong, len(shapes), "have another shape"),
            (unexpected, len(state), "are not wanted"),
        )
        if names
    ]
    raise InputError(f"{path} does not fit {stage}: {'; '.join(told)}.", hint=hints)


def load_into(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    path: Path | str = "the file",
    stage: str = "this network",
    ignore: Collection[str] = (),
    describe: Describe | None = None,
) -> None:
    """Give `module` the tensors of `state` themselves, not copies, after `match` has compared them.

    Make the module under ``torch.device("meta")`` and nothing is allocated twice: it then has the type and the device
    of the tensors. They are made trainable or not as the module's own were.

    Raises:
        InputError: They do not fit.
        StageError: The module was made on the meta device and has tensors that no file gives (buffers that are not
            saved): a fault of its code.
    """
    module.load_state_dict(match(state, module, path=path, stage=stage, ignore=ignore, describe=describe), assign=True)
    empty = [name for name, tensor in (*module.named_parameters(), *module.named_buffers()) if tensor.is_meta]
    if empty:
        raise StageError(f"{stage} has tensors that its file does not give: {_few(empty)}.")


def names_of(state: Mapping[str, object]) -> str:
    """How many tensors and the first few of their names, for messages: ``212 tensors (a.weight, a.bias, …)``."""
    return f"{len(state)} tensors ({_few(list(state))})"


def find_tensors(content: Any, kind: type[T], nested: Sequence[str] = NESTED, depth: int = 4) -> dict[str, T] | None:
    """What is a `kind` in `content`, by name: under the names of `nested` if there, else on top; None if nowhere."""
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping):
        return None
    if depth:
        for name in nested:
            found = find_tensors(content.get(name), kind, nested, depth - 1)
            if found:
                return found
    return {str(name): value for name, value in content.items() if isinstance(value, kind)} or None


def contents_of(content: Any) -> str:
    """What a checkpoint holds in a few words, for messages: ``a dict of epoch (int), config (dict)``."""
    if isinstance(content, Mapping):
        entries = [f"{name} ({type(value).__name__})" for name, value in content.items()]
        return f"a dict of {_few(entries)}" if entries else "an empty dict"
    if isinstance(content, (Tensor, Stored)):
        return f"one tensor of shape {_shape(content.shape)}"
    return f"a {type(content).__name__}"


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "a number"


def _few(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
