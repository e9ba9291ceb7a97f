"""From the devices a user allows to the device a stage runs on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from animegen.errors import ResourceError, UsageError, did_you_mean

KINDS = ("cuda", "mps", "cpu")
"""Kinds of device that torch plugins may run on, best first."""

_DOCTOR = "animegen doctor shows what is here"


def pick_device(names: Sequence[str], *, kinds: Sequence[str] = KINDS, stage: str = "this stage") -> torch.device:
    """The device a stage runs on: the first of `names` that is of a kind the stage can use.

    Args:
        names: `Context.devices`, most wanted first: ``cuda``, ``cuda:1``, ``mps``, ``cpu``; ``auto`` is the best
            of `kinds` that is here.
        kinds: Kinds the stage can use, best first. A name of another kind is passed over.
        stage: Its name, for messages.

    Returns:
        The device; of the kind cuda always with its number.

    Raises:
        ResourceError: A device is named that is not here (it is never replaced silently by the next one), or none is
            of a kind that the stage can use.
        UsageError: A name is not that of a device.
    """
    return pick_devices(names, kinds=kinds, stage=stage)[0]


def pick_devices(
    names: Sequence[str], *, kinds: Sequence[str] = KINDS, stage: str = "this stage", most: int | None = None
) -> tuple[torch.device, ...]:
    """The devices a stage may spread over: those of `names` that are of the same kind as the first it can use.

    ``("cuda:0", "cuda:1", "cpu")`` gives two; ``("auto",)`` gives every CUDA device, or the one best device else.
    Arguments and errors are those of `pick_device`; no more than `most` are given.
    """
    allowed: list[torch.device] = []
    for name in names:
        if name == "auto":
            found = _best(kinds)
        else:
            device = _parse(name)
            found = [device] if device.type in kinds else []
            for one in found:
                _must_be_here(name, one)
        allowed += [device for device in found if device not in allowed]
    if allowed:
        same = [device for device in allowed if device.type == allowed[0].type]
        return tuple(same[:most])
    if "auto" in names:
        raise ResourceError(f"{stage} needs {' or '.join(kinds)}, but {_seen(kinds[0])}.", hint=_hints(kinds[0], kinds))
    raise ResourceError(
        f"{stage} runs on {' and '.join(kinds)}, not on {', '.join(names) or 'nothing'}.",
        hint=f"add {kinds[-1]} to --device",
    )


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be taken on `device`, or None where the system does not say.

    On CUDA what torch keeps in reserve counts as free; on the processor it is what the system can give without
    swapping, and no more than the limit of the container.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    known = [number for number in (_meminfo("MemAvailable"), _container_free()) if number is not None]
    return min(known) if known else None


def total_memory(device: torch.device) -> int | None:
    """Bytes of memory that `device` has (of the container, where it is limited), or None where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    names = getattr(os, "sysconf_names", {})
    all_of_it = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if "SC_PHYS_PAGES" in names else None
    known = [number for number in (all_of_it, _container("memory.max")) if number is not None]
    return min(known) if known else None


def _parse(name: str) -> torch.device:
    kind, colon, number = name.partition(":")
    if kind not in KINDS or (colon and not number.isdecimal()):
        raise UsageError(
            f"{name!r} is not a device.", hint=f"{did_you_mean(kind, ('auto', *KINDS))}auto, cpu, mps, cuda or cuda:1"
        )
    return torch.device("cuda", int(number or 0)) if kind == "cuda" else torch.device(kind)


def _count(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(kind == "cpu" or torch.backends.mps.is_available())


def _best(kinds: Sequence[str]) -> list[torch.device]:
    for kind in kinds:
        count = _count(kind)
        if count:
            return [torch.device(kind, n) for n in range(count)] if kind == "cuda" else [torch.device(kind)]
    return []


def _must_be_here(name: str, device: torch.device) -> None:
    if (device.index or 0) >= _count(device.type):
        raise ResourceError(f"--device {name} was asked for, but {_seen(device.type)}.", hint=_hints(device.type))


def _seen(kind: str) -> str:
    """What torch says about devices of `kind`, as the second half of a sentence."""
    torch_here = f"torch {torch.__version__}"
    if kind == "cpu":
        return f"{torch_here} sees a processor only"
    if kind == "mps":
        if torch.backends.mps.is_built():
            return f"{torch_here} sees no Apple GPU"
        return f"this torch ({torch.__version__}) is built without MPS"
    built = torch.version.cuda or torch.version.hip
    if not built:
        return f"this torch ({torch.__version__}) is built without CUDA"
    count = _count("cuda")
    if not count:
        return f"{torch_here}, built for {'CUDA' if torch.version.cuda else 'ROCm'} {built}, sees no such device"
    return f"{torch_here} sees {count} CUDA device{'s' if count > 1 else ''}: " + ", ".join(
        f"cuda:{n}" for n in range(count)
    )


def _hints(kind: str, kinds: Sequence[str] = KINDS) -> str:
    cpu = "use --device cpu, or " if "cpu" in kinds else ""
    if kind == "cuda" and not (torch.version.cuda or torch.version.hip):
        return f"{cpu}install a CUDA build of torch; {_DOCTOR}"
    if kind == "cuda" and not _count("cuda"):
        return f"{cpu}see whether the driver works (nvidia-smi); {_DOCTOR}"
    return f"{'use --device cpu; ' if cpu else ''}{_DOCTOR}"


def _meminfo(field: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return None


def _container(file: str) -> int | None:
    try:
        text = (Path("/sys/fs/cgroup") / file).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _container_free() -> int | None:
    limit, used = _container("memory.max"), _container("memory.current")
    if limit is None or used is None:
        return None
    try:
        stat = (Path("/sys/fs/cgroup") / "memory.stat").read_text(encoding="ascii")
    except OSError:
        stat = ""
    # Files that were read lie in memory only until somebody else needs it.
    files = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file ")), 0)
    return max(0, limit - used + files)
