"""Main memory of this machine, and bytes in words. Nothing here imports a heavy library."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from animegen.errors import ResourceError


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes; None where the system does not say."""

    total: int | None
    free: int | None


def memory() -> Memory:
    """Main memory, within the limit of a container."""
    total, free = _proc_memory() or _sysconf_memory()
    limit = _cgroup_limit()
    if limit is not None and (total is None or limit[0] < total):
        return Memory(limit[0], limit[0] - limit[1] if free is None else min(free, limit[0] - limit[1]))
    return Memory(total, free)


def in_words(size: int) -> str:
    """Bytes as people read them: ``640 KiB``, ``380 MiB``, ``10.6 GiB``."""
    if size < 2**20:
        return f"{round(size / 2**10)} KiB"
    return f"{round(size / 2**20)} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"


def too_little(name: str, need: int, where: str, have: int, hint: str) -> ResourceError:
    """The error where `have` bytes are free of the `need` bytes that `name` takes; `where` begins with the device."""
    return ResourceError(f"{name} needs {in_words(need)} on {where}; {in_words(have)} are free.", hint=hint or ())


def _proc_memory() -> tuple[int | None, int | None] | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
        return found["MemTotal"], found["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _sysconf_memory() -> tuple[int | None, int | None]:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    except (AttributeError, ValueError, OSError):  # Windows
        return None, None


def _cgroup_limit() -> tuple[int, int] | None:
    """The container's limit and what is used of it (control groups v2), or None."""
    folder = Path("/sys/fs/cgroup")
    try:
        return int((folder / "memory.max").read_text("ascii")), int((folder / "memory.current").read_text("ascii"))
    except (OSError, ValueError):  # "max" is no number: no limit
        return None
