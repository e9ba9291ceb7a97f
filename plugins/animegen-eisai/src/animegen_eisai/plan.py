"""What a run of EISAI will take, said before anything is loaded."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from animegen.stages import Demand, StagePlan
from animegen_eisai.features import seen_size
from animegen_eisai.sizes import Way
from animegen_torch.devices import free_memory, pick_device
from animegen_torch.rfr import CELL

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_eisai.plugin import EisaiOptions

_FIXED = 96 << 20
_PIXEL = {"cpu": 700}
_PIXEL_AT_ONCE = 2400
_SEEN = 600
"""Bytes a pixel that is drawn (strip by strip on a processor, all at once elsewhere) and a pixel that features see, at
the worst moment; on a processor as ``benchmarks/eisai.py`` measures them, elsewhere reckoned from the sizes of layers.
"""
_PYRAMID, _KEPT = 85 / 64, 1 << 30
"""Levels of the flow's table of all pairs together, of the finest; bytes from which on it is no longer kept."""


def plan(options: EisaiOptions, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of one pair; see `animegen.stages.StageSpec.plan`."""
    way = Way.of(size, options.size)
    height, width = way.padding.size
    device = pick_device(context.devices, stage="eisai")
    pairs = min(_KEPT, int(4 * _PYRAMID * (height // CELL * (width // CELL)) ** 2))
    pixel = _PIXEL.get(device.type, _PIXEL_AT_ONCE)
    need = _FIXED + pairs + pixel * height * width + _SEEN * prod(seen_size(height, width))
    summary = f"drawn at {way.drawn[1]}x{way.drawn[0]}" + ("" if options.refine else ", lines not refined")
    hint = "a smaller picture needs less" if options.size == "own" else "-o eisai.size=own draws small pictures small"
    return StagePlan(summary, (Demand(str(device), need, free_memory(device)),), hint=hint)
