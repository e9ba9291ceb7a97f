"""The table of contents of a file of parameters: which tensors it holds, and where their bytes lie."""

from __future__ import annotations

import json
import math
import pickle
import struct
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from animegen.errors import InputError
from animegen_torch.checkpoint_files import FETCH, Format, damaged, python_objects, refused

_SAFETENSORS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
SAFETENSORS_NAMES = {dtype: name for name, dtype in _SAFETENSORS.items()}
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
_MARK = 0x1950A86A20F9469CFC6C
"""The first of the pickles that torch.save wrote before 1.6."""


@dataclass(frozen=True)
class Stored:
    """A tensor in a file.

    Attributes:
        dtype, shape: Its type and sizes.
        offset: Of its first byte in the file.
        stride: As torch has it, in elements; None for one that lies row by row.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int
    stride: tuple[int, ...] | None = None

    @property
    def elements(self) -> int:
        """Numbers it has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes it takes once read."""
        return self.elements * self.dtype.itemsize

    @property
    def span(self) -> int:
        """Bytes of the file from its first to its last."""
        if self.stride is None or not self.elements:
            return self.bytes
        last = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return (last + 1) * self.dtype.itemsize

    def shaped(self, flat: Tensor) -> Tensor:
        """The tensor, from its `span` as a row of elements."""
        return flat.view(self.shape) if self.stride is None else flat.as_strided(self.shape, self.stride)


def contents(path: Path, kind: Format, *, hints: Sequence[str] = FETCH) -> tuple[Any, dict[str, str]]:
    """What a file holds, with `Stored` where tensors are, and the texts that stand beside them in a safetensors file.

    Nothing that a pickle names is run: the few names that a file of tensors needs stand for harmless things here.

    Raises:
        InputError: It is damaged, or a pickle names anything else.
    """
    try:
        if kind == "safetensors":
            return _safetensors(path)
        return (_zip(path) if kind == "zip" else _legacy(path)), {}
    except _ForbiddenError as error:
        raise refused(path, python_objects(path, kind) or [str(error)]) from None
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        struct.error,
    ) as error:
        raise damaged(path, error, hints) from error


class _ForbiddenError(Exception):
    """A pickle names something that is no tensor, number, text or container."""


def _safetensors(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        table = json.loads(file.read(length))
    metadata = {str(name): str(value) for name, value in table.pop("__metadata__", {}).items()}
    content = {}
    for name, entry in table.items():
        if entry["dtype"] not in _SAFETENSORS:
            raise ValueError(f"{name} is of the type {entry['dtype']}, which is not known")
        start, end = entry["data_offsets"]
        one = Stored(_SAFETENSORS[entry["dtype"]], tuple(entry["shape"]), 8 + length + start)
        if one.bytes != end - start or start < 0:
            raise ValueError(f"{name} has {end - start} bytes, not {one.bytes}")
        content[name] = one
    return content, metadata


def _zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its numbers have their bytes in the other order")

        def offset(key: str) -> int:
            entry = archive.getinfo(f"{folder}data/{key}")
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its tensors are compressed")
            file.seek(entry.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            return int(entry.header_offset + 30 + name + extra)

        programs = f"{folder}constants.pkl" in archive.namelist()
        with archive.open(pickled) as stream:
            content = _Reader(stream, offset, programs=programs).load()
        return dict(_state(content)) if isinstance(content, _Module) else content


def _legacy(path: Path) -> Any:
    with path.open("rb") as file:
        if _Reader(file, lambda key: 0).load() != _MARK:
            raise InputError(f"{path} is a pickle, but torch.save did not write it.", hint=FETCH)
        for _ in ("the version", "the machine"):
            _Reader(file, lambda key: 0).load()
        # Where a storage lies is known only behind the content, which is therefore gone through twice.
        start = file.tell()
        first = _Reader(file, lambda key: 0)
        first.load()
        keys = _Reader(file, lambda key: 0).load()
        offsets = {}
        for key in keys:
            count = struct.unpack("<q", file.read(8))[0]
            offsets[str(key)] = file.tell()
            file.seek(count * first.storages[str(key)].itemsize, 1)
        file.seek(start)
        return _Reader(file, offsets.__getitem__).load()


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    offset: int


class _Reader(pickle.Unpickler):
    """Puts `Stored` where tensors are; knows the few names that a file of tensors needs, and refuses all others.

    With `programs`, classes of a TorchScript archive become `_Module`: what they hold, and nothing of what they do.
    """

    def __init__(self, stream: IO[bytes], offset: Callable[[str], int], *, programs: bool = False) -> None:
        super().__init__(stream)
        self._offset, self._programs = offset, programs
        self.storages: dict[str, torch.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
            return found
        if self._programs and module.split(".")[0] == "__torch__":
            return _Module
        if self._programs and (module, name) in _SCRIPT:
            return _SCRIPT[module, name]
        if (module, name) not in _KNOWN:
            raise _ForbiddenError(f"{module}.{name}")
        return _KNOWN[module, name]

    def persistent_load(self, saved: Any) -> _Storage:
        kind, dtype, key = saved[:3]
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"it refers to a {kind}")
        if len(saved) > 5 and saved[5] is not None:
            raise ValueError("it holds a view of a storage, as nothing has written for years")
        self.storages[str(key)] = dtype
        return _Storage(dtype, self._offset(str(key)))


class _Module:
    """An object of a TorchScript archive: its attributes by name."""

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state) if isinstance(state, dict) else {}


def _state(module: _Module, prefix: str = "") -> Iterator[tuple[str, Stored]]:
    """Tensors of a module and all modules in it, under the names that `torch.nn.Module.state_dict` gives them."""
    for name, value in module.state.items():
        if isinstance(value, Stored):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _state(value, f"{prefix}{name}.")


def _tensor(storage: _Storage, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> Stored:
    shape, steps = tuple(map(int, size)), tuple(map(int, stride))
    return _placed(storage, storage.dtype, offset, shape, steps)


def _typed_tensor(
    storage: _Storage,
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
    grad: bool,
    hooks: Any,
    dtype: torch.dtype,
    *_: Any,
) -> Stored:
    return _placed(storage, dtype, offset, tuple(map(int, size)), tuple(map(int, stride)))


def _placed(
    storage: _Storage, dtype: torch.dtype, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> Stored:
    rows: list[int] = []
    step = 1
    for size in reversed(shape):
        rows.insert(0, step)
        step *= size
    # A side of length one has any stride.
    plain = all(size == 1 or own == row for size, own, row in zip(shape, stride, rows, strict=True))
    return Stored(dtype, shape, storage.offset + int(offset) * dtype.itemsize, None if plain else stride)


class _Settings:
    """Stands for settings that were saved beside parameters; keeps what it is given and does nothing."""


_KNOWN: dict[tuple[str, str], Any] = {
    ("argparse", "Namespace"): _Settings,
    ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"): _Settings,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("builtins", "dict"): dict,
    ("builtins", "int"): int,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("builtins", "bytearray"): bytearray,
    ("torch", "Size"): lambda sizes=(): tuple(sizes),
    ("torch", "device"): lambda *given: str(given[0]) if given else "",
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *_: data,
    ("torch.nn.parameter", "Parameter"): lambda data, *_: data,
}
"""All that a pickle may name, and what it gets: nothing here does anything."""
_SCRIPT: dict[tuple[str, str], Any] = {
    **{("torch.jit._pickle", f"build_{kind}list"): list for kind in ("int", "double", "bool", "tensor")},
    ("torch.jit._pickle", "restore_type_tag"): lambda value, *_: value,
}
"""What a TorchScript archive may name besides its own classes."""
