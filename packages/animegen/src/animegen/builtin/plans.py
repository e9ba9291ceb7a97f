"""What the built-in stages take, said before they are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from animegen.memory import memory
from animegen.stages import Demand, StagePlan

if TYPE_CHECKING:
    from animegen.stages import Context

WORKING = 180
"""Bytes a pixel of working arrays, at most, of any built-in stage; measured by ``benchmarks/pairs.py``."""


def working_arrays(options: Any, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of a stage that works on one picture, or between two, in main memory."""
    height, width = size
    demand = Demand("cpu", WORKING * height * width, memory().free, "working arrays")
    return StagePlan("", (demand,), hint="a smaller picture needs less: --size 640x480")
