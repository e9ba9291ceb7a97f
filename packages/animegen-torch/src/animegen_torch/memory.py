"""Accounts of memory: what a block took, what parameters take, and what to say when there is too little."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from animegen.errors import ResourceError
from animegen_torch.devices import free_memory, total_memory

_SIGNS = (
    "DefaultCPUAllocator",  # the processor's allocator has no error class of its own
    "CUDA error: out of memory",
    "CUDA out of memory",
    "MPS backend out of memory",
    "HIP out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory did not suffice, on whichever device."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def release(device: torch.device) -> None:
    """Give back to the system what torch keeps in reserve on `device`."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def gib(size: float) -> str:
    """`size` bytes for people: ``1.9 GiB``, ``12 GiB``, ``37 MiB``."""
    if size < 2**30:
        return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"
    number = size / 2**30
    return f"{number:.0f} GiB" if number >= 9.95 else f"{number:.1f} GiB"


def in_use(device: torch.device) -> str:
    """How full `device` is, e.g. ``14.6 GiB total, 13.9 GiB in use``; empty where nobody says."""
    total, free = total_memory(device), free_memory(device)
    if total is None or free is None:
        return ""
    return f"{gib(total)} total, {gib(max(0, total - free))} in use"


def out_of_memory(
    device: torch.device, stage: str, *, doing: str = "", hints: str | Sequence[str] = ()
) -> ResourceError:
    """The error to raise when `device` has too little memory, with how full it is.

    Args:
        device: Where it happened.
        stage: Name of the stage.
        doing: What it was at, e.g. ``on a picture of 4000 × 3000``.
        hints: What needs less.
    """
    used = in_use(device)
    where = f"{stage}, {doing}" if doing else stage
    return ResourceError(f"out of memory on {device} in {where}{f' ({used})' if used else ''}.", hint=hints)


def state_bytes(state: Mapping[str, Tensor] | nn.Module) -> int:
    """Bytes of the tensors of a state or module; storage that several names share counts once."""
    tensors = state.state_dict(keep_vars=True).values() if isinstance(state, nn.Module) else state.values()
    seen: dict[object, int] = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        key = id(tensor) if tensor.device.type == "meta" else (tensor.device, storage.data_ptr())
        seen[key] = max(seen.get(key, 0), tensor.numel() * tensor.element_size())
    return sum(seen.values())


@dataclass
class Peak:
    """What a block took; filled in when it ends.

    Attributes:
        bytes: Most memory in use at once, in bytes above what was in use when the block began.
        total: Most memory in use at once, in bytes.
    """

    bytes: int = 0
    total: int = 0


@contextmanager
def peak_memory(device: torch.device, *, every: float = 0.002) -> Iterator[Peak]:
    """Measure what a block takes: torch's tensors on CUDA, else the resident memory of this process.

    The process is looked at each `every` seconds (Linux; elsewhere the highest value of the whole process, which is
    only right for the first block that takes much). Blocks on one CUDA device must not be nested.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        try:
            yield peak
        finally:
            torch.cuda.synchronize(device)
            peak.total = torch.cuda.max_memory_allocated(device)
            peak.bytes = peak.total - before
        return
    before = peak.total = resident_memory()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every):
            peak.total = max(peak.total, resident_memory())

    watcher = threading.Thread(target=watch, name="peak_memory", daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.total = max(peak.total, resident_memory())
        peak.bytes = peak.total - before


def resident_memory() -> int:
    """Bytes of this process that lie in memory now (outside Linux: at most so far)."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read hundreds of times a second
            pages = int(file.read().split()[1])
        import resource

        return pages * resource.getpagesize()
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
