"""Files of parameters as safetensors, which open at once and cannot hold a program."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from animegen.errors import InputError, UsageError
from animegen.weights.fetch import need_room
from animegen_torch.checkpoint_files import file_format
from animegen_torch.checkpoints import NESTED, State, names_of, read_state
from animegen_torch.stored import SAFETENSORS_NAMES, Stored
from animegen_torch.tensor_files import TensorFile

_KEY = "animegen"
DTYPES = ("float32", "float16", "bfloat16")
_PREFIXES = ("_forward_module.", "module.")
"""What programs that train on several devices put before every name."""


@dataclass(frozen=True)
class Converted:
    """What `convert` wrote.

    Attributes:
        path: The file.
        tensors: How many it holds.
        bytes: Its size.
        left_out: How many tensors of the original it does not hold.
        made: Whether it was made now; False where the same file was there.
    """

    path: Path
    tensors: int
    bytes: int
    left_out: int
    made: bool = True


def convert(
    source: Path,
    target: Path,
    *,
    dtype: str | None = None,
    without: Sequence[str] = (),
    instead: Mapping[str, Tensor] | None = None,
    facts: Mapping[str, str] | None = None,
    force: bool = False,
    progress: Callable[[int, int | None, str], None] | None = None,
) -> Converted:
    """Write the parameters of a file as safetensors: tensor by tensor, so that memory holds no more than one.

    The same input gives the same bytes. Tensors that belong to no layer (no dot in the name: tables of a schedule)
    keep their type.

    Args:
        source: Any file of parameters; a pickle is read without running anything.
        target: What is written, beside its place first, and only renamed when it is whole.
        dtype: One of `DTYPES`: what floating tensors become; None leaves them.
        without: Tensors whose names begin so are left out.
        instead: Tensors that take the place of those of the same names, in the types of these.
        facts: Texts kept in the file (``license``, ``source``); those of the original stay as well.
        force: Replace a file that was made otherwise.
        progress: Called with bytes done, bytes in all, and what is done.

    Raises:
        InputError: The original cannot be read, its numbers do not fit the type, or `instead` has other names or sizes.
        UsageError: Nothing begins with a text of `without`, nothing is left, or the target is another file.
        ResourceError: The disk has too little room.
    """
    if target.exists() and target.samefile(source):
        raise UsageError(f"{source} cannot be written over itself.", hint="--out FILE")
    file = TensorFile.open(source)
    state = _plain(file.state((*NESTED, "module")))
    for beginning in without:
        if not any(name.startswith(beginning) for name in state):
            raise UsageError(f"{source} has nothing that begins with {beginning!r}; it holds {names_of(state)}.")
    kept = {name: one for name, one in state.items() if not name.startswith(tuple(without))}
    if not kept:
        raise UsageError(f"nothing of {source} is left without {', '.join(without)}.")
    instead = instead or {}
    if wrong := [name for name, one in instead.items() if name not in kept or kept[name].shape != tuple(one.shape)]:
        raise InputError(f"{source} has no tensor {wrong[0]} of that size to put another in its place.")
    kept = dict(sorted(kept.items(), key=lambda item: (item[1].offset, item[0])))
    types = {name: _type(name, one.dtype, dtype) for name, one in kept.items()}
    header, total = _header(kept, types, {"format": "pt", **file.metadata, **(facts or {})})
    size = len(header) + total
    if target.exists() and not force:
        if target.stat().st_size == size and _starts_with(target, header):
            return Converted(target, len(kept), size, len(state) - len(kept), made=False)
        raise UsageError(f"{target} is there already and holds something else.", hint="--out FILE, or --force")
    need_room(target.parent, size, what=target.name)
    beside = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        with beside.open("wb") as out:
            out.write(header)
            done = 0
            for name, tensor in file.read(kept, dtype=lambda name, _: types[name]):
                if name in instead:
                    tensor = _fitting(instead[name], types[name], name)
                done += out.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
                del tensor  # before the next one is read
                if progress is not None:
                    progress(done, total, "converting")
            out.flush()
            os.fsync(out.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return Converted(target, len(kept), size, len(state) - len(kept))


def _fitting(tensor: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    made = tensor.detach().to("cpu", dtype)
    if not bool(made.isfinite().all()):
        raise InputError(f"{name} has numbers that {str(dtype).removeprefix('torch.')} cannot hold, or that are none.")
    return made


def _plain(state: dict[str, Stored]) -> dict[str, Stored]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): one for name, one in state.items()}
    return state


def _type(name: str, own: torch.dtype, wanted: str | None) -> torch.dtype:
    if wanted is None or not own.is_floating_point or "." not in name:
        return own
    if wanted not in DTYPES:
        raise UsageError(f"{wanted!r} is no type of parameters.", hint=f"one of {', '.join(DTYPES)}")
    made = getattr(torch, wanted)
    assert isinstance(made, torch.dtype)
    return made


def _header(
    tensors: Mapping[str, Stored], types: Mapping[str, torch.dtype], metadata: Mapping[str, str]
) -> tuple[bytes, int]:
    """The first bytes of a safetensors file, and how many come behind them."""
    table: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name, one in tensors.items():
        if types[name] not in SAFETENSORS_NAMES:
            raise InputError(f"{name} is of the type {types[name]}, which safetensors does not have.")
        end = offset + one.elements * types[name].itemsize
        table[name] = {"dtype": SAFETENSORS_NAMES[types[name]], "shape": one.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, offset


def _starts_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


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
