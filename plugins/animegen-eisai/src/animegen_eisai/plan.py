"""What a run of EISAI will take, said before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen.stages import Demand, StagePlan
from animegen_eisai.features import seen_size
from animegen_eisai.sizes import Way
from animegen_torch.devices import free_memory, pick_device

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_eisai.plugin import EisaiOptions

_PARAMETERS = 32 << 20
_PIXEL = 700
_SEEN = 2200
"""Bytes a pixel drawn, and a pixel that features see, at the worst moment; measured by ``benchmarks/eisai.py``."""


def plan(options: EisaiOptions, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of one pair; see `animegen.stages.StageSpec.plan`."""
    way = Way.of(size, options.size)
    height, width = way.padding.size
    device = pick_device(context.devices, stage="eisai")
    need = _PARAMETERS + _PIXEL * height * width + _SEEN * seen_size(height, width)[0] * seen_size(height, width)[1]
    summary = f"drawn at {way.drawn[1]}x{way.drawn[0]}" + ("" if options.refine else ", lines not refined")
    hint = "a smaller picture needs less" if options.size == "own" else "-o eisai.size=own draws small pictures small"
    return StagePlan(summary, (Demand(str(device), need, free_memory(device)),), hint=hint)
