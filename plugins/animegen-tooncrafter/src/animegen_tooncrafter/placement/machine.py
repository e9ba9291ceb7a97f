"""What is here to run on: devices, their free memory, and the number format of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from animegen_tooncrafter.placement.choose import Machine
from animegen_torch.devices import free_memory, pick_devices
from animegen_torch.precision import NAMES, pick_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    from animegen.stages import Context

STAGE = "tooncrafter"


def machine_of(context: Context, *, warn: Callable[[str], None] | None = None) -> Machine:
    """The machine as far as a run's context allows it.

    Raises:
        ResourceError, UsageError: See `animegen_torch.devices.pick_devices` and `precision.pick_dtype`.
    """
    devices = pick_devices(context.devices, stage=STAGE)
    here = dict.fromkeys((*devices, torch.device("cpu")))
    dtypes = {str(one): _name(pick_dtype(context.dtype, one, stage=STAGE)) for one in here}
    if context.dtype != "auto" and warn is not None:
        pick_dtype(context.dtype, devices[0], stage=STAGE, warn=warn)
    if devices[0].type != "cpu" and dtypes["cpu"] == "float16":
        dtypes["cpu"] = "float32"  # a part that a map puts on the processor; it has no units for float16
    return Machine(tuple(map(str, devices)), {str(one): free_memory(one) for one in here}, dtypes)


def dtype_named(name: str) -> torch.dtype:
    """The type of a number format."""
    return NAMES[name]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
