"""Variables out of TensorFlow's own files, without TensorFlow.

A SavedModel keeps its variables, as every checkpoint does, in a "tensor bundle": ``NAME.index``, a sorted table of
names and places, and ``NAME.data-00000-of-0000N``, the numbers. The table is in LevelDB's format, its values are
protocol buffers of a few fields; both are simple enough to be read here, and nothing of them is ever run. Keras stores
variables under the path of the objects that hold them; their full names are in a graph of these objects, which is
itself an entry of the table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animegen.errors import InputError

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_DTYPES = {1: torch.float32, 2: torch.float64, 3: torch.int32, 9: torch.int64, 14: torch.bfloat16, 19: torch.float16}
_STRING = 7


@dataclass(frozen=True)
class Entry:
    """A variable in a bundle.

    Attributes:
        dtype: TensorFlow's number of its type.
        shape: Its sizes.
        shard: In which data file.
        offset, size: In bytes.
        sliced: It is stored in parts, under other names.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


def is_bundle(path: Path) -> bool:
    """Whether a file belongs to a tensor bundle: told by the end of an index, or by the name of a data file."""
    if ".data-" in path.name:
        return True
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < _FOOTER:
                return False
            file.seek(size - 8)
            return int.from_bytes(file.read(8), "little") == _MAGIC
    except OSError:
        return False


class Bundle:
    """A tensor bundle, looked into.

    Args:
        path: Its index, or one of its data files.

    Raises:
        InputError: A part is absent, damaged, or of a kind that TensorFlow does not write for variables.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name.partition(".data-")[0] + ".index") if ".data-" in path.name else path
        if not self.path.is_file():
            raise InputError(
                f"{path} has no {self.path.name} beside it.", hint="both belong to a SavedModel's variables"
            )
        try:
            table = dict(_table(self.path.read_bytes()))
            header = _fields(table.pop(b""))
            self._shards = int(_last(header, 1, 1))
            if _last(header, 2, 0):
                raise ValueError("its numbers have their bytes in the other order")
            self.entries = {key.decode(): _entry(value) for key, value in table.items()}
            self.names = self._full_names()
        except (ValueError, KeyError, IndexError, TypeError, struct.error, OverflowError) as error:
            raise self._damaged(error) from error

    def read(self, names: Mapping[str, str]) -> dict[str, Tensor]:
        """Tensors by new name.

        Args:
            names: From the full name of a variable to the new one.

        Raises:
            InputError: A data file is absent or too short.
        """
        return {new: self._tensor(self.entries[self.names[full]], full) for full, new in names.items()}

    def _full_names(self) -> dict[str, str]:
        """Keys of the table by the variables' full names; a checkpoint without objects has these as its keys."""
        graph = self.entries.get(_GRAPH)
        if graph is None:
            return {key: key for key in self.entries}
        found: dict[str, str] = {}
        for number, node in _fields(self._string(graph)):
            if number != 1:
                continue
            for inner, attribute in _fields(node):
                if inner == 2:
                    texts = {field: text.decode() for field, text in _fields(attribute) if field in (2, 3)}
                    if texts.get(3) in self.entries:
                        found[texts.get(2) or texts[3]] = texts[3]
        return found

    def _string(self, entry: Entry) -> bytes:
        """A single text: its length, a checksum of that, and the text itself."""
        raw = self._bytes(entry)
        length, at = _varint(raw, 0)
        text = raw[at + 4 : at + 4 + length]
        if entry.dtype != _STRING or len(text) != length:
            raise ValueError("the names of its variables cannot be read")
        return text

    def _tensor(self, entry: Entry, name: str) -> Tensor:
        if entry.dtype not in _DTYPES or entry.sliced:
            raise InputError(
                f"{self.path} holds {name} in a form that is not read here.", hint="save it whole, as floats"
            )
        try:
            flat = torch.from_numpy(np.frombuffer(bytearray(self._bytes(entry)), np.uint8))
            return flat.view(_DTYPES[entry.dtype]).reshape(entry.shape)
        except (ValueError, RuntimeError) as error:
            raise self._damaged(error) from error

    def _bytes(self, entry: Entry) -> bytes:
        name = f"{self.path.name.removesuffix('.index')}.data-{entry.shard:05d}-of-{self._shards:05d}"
        path = self.path.with_name(name)
        if not path.is_file():
            raise InputError(
                f"{self.path} belongs to {name}, which is not beside it.",
                hint="copy the whole folder variables of the SavedModel",
            )
        with path.open("rb") as file:
            file.seek(entry.offset)
            content = file.read(entry.size)
        if len(content) != entry.size:
            raise InputError(f"{path} is cut off: it ends within a variable.", hint="copy it again")
        return content

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path} is damaged, or no index of TensorFlow's variables: {error}.", hint="copy it again"
        )


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table in LevelDB's format."""
    if len(data) < _FOOTER or int.from_bytes(data[-8:], "little") != _MAGIC:
        raise ValueError("its end is not that of a table")
    footer = data[-_FOOTER:]
    _, at = _handle(footer, 0)
    index, _ = _handle(footer, at)
    for _, value in _block(data, *index):
        yield from _block(data, *_handle(value, 0)[0])


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of a block; a key leaves out what it shares with the one before."""
    if offset + size + 5 > len(data):
        raise ValueError("a block lies behind its end")
    if data[offset + size]:
        raise ValueError("its table is compressed")
    block = data[offset : offset + size]
    end = size - 4 * (1 + int.from_bytes(block[-4:], "little"))
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of any length, seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has no end")


def _fields(message: bytes) -> list[tuple[int, Any]]:
    """Fields of a protocol buffer: numbers as int, everything else as bytes."""
    if not isinstance(message, bytes):
        raise TypeError("a number stands where a message should")
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        value: int | bytes
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, at = message[at : at + width], at + width
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a text lies behind its end")
            value, at = message[at : at + length], at + length
        else:
            raise ValueError(f"a field is of the kind {kind}")
        found.append((tag >> 3, value))
    return found


def _last(fields: list[tuple[int, Any]], number: int, default: int) -> int:
    """The number in a field; fields that hold nothing are left out of a message."""
    values = [value for field, value in fields if field == number]
    return int(values[-1]) if values else default


def _entry(value: bytes) -> Entry:
    fields = _fields(value)
    shape = []
    for number, inner in fields:
        if number == 2:
            shape = [_last(_fields(dimension), 1, 0) for field, dimension in _fields(inner) if field == 2]
    return Entry(
        _last(fields, 1, 0),
        tuple(shape),
        _last(fields, 3, 0),
        _last(fields, 4, 0),
        _last(fields, 5, 0),
        any(number == 7 for number, _ in fields),
    )
