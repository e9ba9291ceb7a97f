"""Tensors out of a file of parameters, of which nothing is read but what is asked for.

A file of ten gigabytes is looked into in milliseconds, and one network of several in it is read alone: mapped, so that
nothing is copied, or tensor by tensor straight into another type or onto another device.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from animegen.errors import InputError
from animegen_torch.checkpoint_files import FETCH, file_format
from animegen_torch.checkpoints import NESTED, contents_of, find_tensors
from animegen_torch.stored import Stored, contents


@dataclass(frozen=True)
class TensorFile:
    """A file of parameters, looked into.

    Attributes:
        path: The file.
        content: What it holds: by name and possibly nested, `Stored` where tensors are.
        metadata: Texts by name that stand beside the tensors in a safetensors file.
        stamp: Its size and time of change when it was looked into.
    """

    path: Path
    content: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    stamp: tuple[int, int] = (0, 0)

    @classmethod
    def open(cls, path: Path, *, hints: Sequence[str] = FETCH, programs: bool = False) -> TensorFile:
        """Look into a safetensors file or into what torch.save wrote, which is read without running anything.

        Args:
            path: The file.
            hints: What to type when it is none.
            programs: Take TorchScript archives too. Their tensors have the names that the module's state had; their
                program is not even read.

        Raises:
            InputError: As `checkpoint_files.read_file` does.
        """
        kind = file_format(path, hints=hints, programs=programs)
        stamp = _stamp(path)
        return cls(path, *contents(path, kind, hints=hints), stamp)

    def state(self, nested: Sequence[str] = NESTED) -> dict[str, Stored]:
        """The tensors by name, whatever they are wrapped in; see `checkpoints.unwrap`.

        Raises:
            InputError: There are none.
        """
        found = find_tensors(self.content, Stored, nested)
        if found is None:
            raise InputError(
                f"{self.path} holds no parameters by name: {contents_of(self.content)}.",
                hint="a state_dict is needed, alone or under a name such as state_dict or model",
            )
        return found

    def mapped(self, tensors: Mapping[str, Stored]) -> dict[str, Tensor]:
        """Tensors whose memory is the file itself: read when used, given up when memory is short.

        Writing to one changes memory, never the file. The file must stay as it is for as long as they are used.

        Raises:
            InputError: It has changed since it was looked into, or ends before a tensor does.
        """
        self._check_unchanged()
        full = {name: one for name, one in tensors.items() if one.span}
        if not full:
            return {name: torch.empty(one.shape, dtype=one.dtype) for name, one in tensors.items()}
        start = min(one.offset for one in full.values())
        start -= start % mmap.ALLOCATIONGRANULARITY
        end = max(one.offset + one.span for one in full.values())
        if end > self.stamp[0]:
            raise self._cut_off()
        with self.path.open("rb") as file:
            window = mmap.mmap(file.fileno(), end - start, access=mmap.ACCESS_COPY, offset=start)
        result = {}
        for name, one in tensors.items():
            size = one.dtype.itemsize
            if not one.span:
                flat = torch.empty(0, dtype=one.dtype)
            elif one.offset % size:  # not where its type may lie, and worth a copy: files of old
                here = one.offset - start
                flat = torch.frombuffer(bytearray(window[here : here + one.span]), dtype=one.dtype)
            else:
                flat = torch.frombuffer(window, dtype=one.dtype, count=one.span // size, offset=one.offset - start)
            result[name] = one.shaped(flat)
        return result

    def read(
        self,
        tensors: Mapping[str, Stored],
        *,
        device: torch.device | str = "cpu",
        dtype: Callable[[str, torch.dtype], torch.dtype] | None = None,
    ) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors, copied to `device` one after another: never two in memory unless they are kept.

        Args:
            tensors: Which.
            device: Where they go.
            dtype: The type of a floating tensor by its name and its type in the file; None leaves it.

        Raises:
            InputError: The file has changed or ends before a tensor does, or numbers do not fit the type.
        """
        self._check_unchanged()
        with self.path.open("rb", buffering=0) as file:
            for name, one in tensors.items():
                wanted = one.dtype
                if dtype is not None and one.dtype.is_floating_point:
                    wanted = dtype(name, one.dtype)
                made = self._read(file, one).to(device=device, dtype=wanted)
                if wanted == torch.float16 != one.dtype and not bool(made.isfinite().all()):
                    raise InputError(
                        f"{self.path} holds numbers in {name} that float16 cannot hold, or that are none.",
                        hint="--dtype bfloat16 or float32",
                    )
                yield name, made
                del made

    def brought(
        self,
        tensors: Mapping[str, Stored],
        *,
        device: torch.device,
        dtype: Callable[[str, torch.dtype], torch.dtype],
    ) -> dict[str, Tensor]:
        """Tensors on a device, in types of their own: mapped where they are so in the file, otherwise read.

        Args:
            tensors: Which.
            device: Where they go.
            dtype: See `read`.

        Raises:
            InputError: See `mapped` and `read`.
        """
        here = {
            name: one
            for name, one in tensors.items()
            if device.type == "cpu" and (not one.dtype.is_floating_point or dtype(name, one.dtype) == one.dtype)
        }
        other = {name: one for name, one in tensors.items() if name not in here}
        found = self.mapped(here) | dict(self.read(other, device=device, dtype=dtype))
        return {name: found[name] for name in tensors}

    def _check_unchanged(self) -> None:
        if _stamp(self.path) != self.stamp:
            raise InputError(f"{self.path} has changed since it was looked into.", hint="start again")

    def _cut_off(self) -> InputError:
        return InputError(f"{self.path} is cut off: it ends within a tensor.", hint=FETCH)

    def _read(self, file: IO[bytes], one: Stored) -> Tensor:
        buffer = torch.empty(one.span, dtype=torch.uint8)
        file.seek(one.offset)
        view, done = buffer.numpy().data, 0
        while done < one.span:
            count = file.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                raise self._cut_off()
            done += count
        made = one.shaped(buffer.view(one.dtype))
        return made if one.stride is None else made.contiguous()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read any more: {error.strerror}.") from None
    return status.st_size, status.st_mtime_ns
