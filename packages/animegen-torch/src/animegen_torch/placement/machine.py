"""What is here to run on: devices, their free memory, and the number format of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from animegen_torch.devices import free_memory, pick_devices
from animegen_torch.precision import NAMES, pick_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from animegen.stages import Context


@dataclass(frozen=True)
class Machine:
    """Where a stage may run.

    Attributes:
        devices: Those that networks may run on, most wanted first.
        free: Bytes free on each device and on the processor; None where nobody can tell.
        dtypes: Number format of what runs on each of them, and on the processor.
    """

    devices: tuple[str, ...]
    free: Mapping[str, int | None]
    dtypes: Mapping[str, str]


def machine_of(context: Context, stage: str, *, warn: Callable[[str], None] | None = None) -> Machine:
    """The machine as far as a run's context allows it.

    Raises:
        ResourceError, UsageError: See `animegen_torch.devices.pick_devices` and `precision.pick_dtype`.
    """
    devices = pick_devices(context.devices, stage=stage)
    here = dict.fromkeys((*devices, torch.device("cpu")))
    dtypes = {str(one): _name(pick_dtype(context.dtype, one, stage=stage)) for one in here}
    if context.dtype != "auto" and warn is not None:
        pick_dtype(context.dtype, devices[0], stage=stage, warn=warn)
    if devices[0].type != "cpu" and dtypes["cpu"] == "float16":
        dtypes["cpu"] = "float32"  # a part that a map puts on the processor; it has no units for float16
    return Machine(tuple(map(str, devices)), {str(one): free_memory(one) for one in here}, dtypes)


def dtype_named(name: str) -> torch.dtype:
    """The type of a number format."""
    return NAMES[name]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
