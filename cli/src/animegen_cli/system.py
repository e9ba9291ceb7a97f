"""What this machine is: processors, memory, disk, graphics cards. Nothing here imports a heavy library."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
