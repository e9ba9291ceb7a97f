"""A pickle read once becomes a safetensors file beside it, which opens at once and cannot hold a program."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from animegen_torch.checkpoint_files import file_format
from animegen_torch.checkpoints import State, read_state

_KEY = "animegen"


def as_safetensors(path: Path, *, dtype: torch.dtype | None = None) -> Path:
    """The safetensors file that holds the parameters of `path`; made beside it the first time.

    Names and wrapping are taken off as `checkpoints.read_state` does. It is made again when the original has changed
    since. A file that is safetensors already is given back as it is.

    Args:
        path: A checkpoint.
        dtype: What floating tensors become in the copy; part of its name (``model.float16.safetensors``).

    Raises:
        InputError: The original cannot be read.
        OSError: The folder cannot be written to; the original can still be read as it is.
    """
    if file_format(path) == "safetensors" and dtype is None:
        return path
    kind = f".{str(dtype).removeprefix('torch.')}" if dtype is not None else ""
    target = path.with_name(f"{path.name}{kind}.safetensors")
    state = path.stat()
    origin = {"file": path.name, "size": state.st_size, "mtime_ns": state.st_mtime_ns}
    if _origin(target) == origin:
        return target
    beside = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        save_file(_separate(read_state(path, dtype=dtype)), str(beside), metadata={_KEY: json.dumps(origin)})
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _origin(target: Path) -> object:
    """What a file made here says it was made from; None for any other file, or a damaged one."""
    if not target.is_file():
        return None
    try:
        with safe_open(str(target), framework="pt") as file:
            return json.loads((file.metadata() or {}).get(_KEY, "null"))
    except (SafetensorError, OSError, ValueError):
        return None


def _separate(state: State) -> State:
    """The same tensors, none of which shares its memory with another: the format has no sharing."""
    seen: set[tuple[str, int]] = set()
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        key = (str(tensor.device), tensor.untyped_storage().data_ptr())
        result[name] = tensor.clone(memory_format=torch.contiguous_format) if key in seen else tensor.contiguous()
        seen.add(key)
    return result
