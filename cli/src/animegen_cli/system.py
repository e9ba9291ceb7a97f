"""What this machine is: processors, memory, disk, graphics cards. Nothing here imports a heavy library."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes; None where the system does not say."""

    total: int | None
    free: int | None


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> Memory:
    """Main memory, within the limit of a container."""
    total, free = _proc_memory() or _sysconf_memory()
    limit = _cgroup_limit()
    if limit is not None and (total is None or limit[0] < total):
        return Memory(limit[0], limit[0] - limit[1] if free is None else min(free, limit[0] - limit[1]))
    return Memory(total, free)


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


def disk_free(folder: Path) -> int | None:
    """Bytes free where `folder` is or would be."""
    folder = folder.absolute()
    for place in (folder, *folder.parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def writable(folder: Path) -> bool:
    """Whether `folder`, or the nearest one above it that exists, may be written to."""
    folder = folder.absolute()
    place = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    return place.is_dir() and os.access(place, os.W_OK)


def nvidia_cards() -> list[str]:
    """Graphics cards as the driver names them: ``NVIDIA T4, 15360 MiB``."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]
