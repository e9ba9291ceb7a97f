"""What a run of AnimeInterp will take, said before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen.stages import Demand, StagePlan
from animegen_animeinterp.matching.sizes import working_size
from animegen_animeinterp.plugin import PUBLISHED_SIZE
from animegen_torch.devices import free_memory, pick_device

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_animeinterp.plugin import AnimeInterpOptions

_PARAMETERS = 40 << 20
_DRAWN, _KNOWN, _SEGMENTED = 2200, 500, 650
"""Bytes a pixel while a frame is drawn, a pixel of what is known of a pair, and a pixel while regions are described;
measured by ``benchmarks/animeinterp.py``."""
_PAIR, _PAIRS = 5.4, 1 << 30
"""Bytes for each two cells of 8 × 8 pixels that the flow compares; above the limit they are compared part by part."""


def plan(options: AnimeInterpOptions, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of one pair; see `animegen.stages.StageSpec.plan`."""
    published = options.size == "published"
    height, width = PUBLISHED_SIZE[::-1] if published else size
    pixels = height * width
    drawing = max(_DRAWN * pixels, _KNOWN * pixels + min(_PAIRS, _PAIR * (pixels / 64) ** 2))
    summary = f"drawn at {width}x{height}"
    segmenting = 0
    if options.matching:
        rows, columns = working_size(size, published=published)
        segmenting = _KNOWN * pixels + _SEGMENTED * rows * columns
        summary += f", regions matched at {columns}x{rows}"
    device = pick_device(context.devices, stage="animeinterp")
    need = _PARAMETERS + int(max(drawing, segmenting))
    hint = "a smaller picture needs less" if published else "-o animeinterp.size=published draws at 960x540"
    return StagePlan(summary, (Demand(str(device), need, free_memory(device)),), hint=hint)
