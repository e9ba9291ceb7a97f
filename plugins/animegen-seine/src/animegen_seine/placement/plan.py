"""What a run of SEINE will take, said before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen.errors import MissingError
from animegen.stages import StagePlan
from animegen_seine.model import BLUEPRINT, ModelConfiguration
from animegen_seine.placement.choose import choose, next_smaller
from animegen_seine.placement.source import source_of
from animegen_seine.plugin import SEINE
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement.choice import Choice
from animegen_torch.placement.machine import Machine, machine_of
from animegen_torch.placement.sizes import Sizes

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_seine.plugin import SeineOptions


def plan(options: SeineOptions, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of one clip; see `animegen.stages.StageSpec.plan`. Of files only the tables are read.

    Where a published file is not here yet, the plan is made for it all the same.

    Raises:
        InputError, UsageError: A file or a map is not what it should be, or the size cannot be drawn.
        ResourceError: A device is not here.
    """
    SEINE.check_size(*size, frames)
    try:
        model = source_of(options, context).model
    except MissingError:  # the run says so itself
        model = ModelConfiguration()
    machine = machine_of(context, SEINE.stage)
    choice = choose(options, machine, Sizes.of(BLUEPRINT, model), Clip(*size, frames, options.branches))
    return choice.plan(machine, summary_of(options, machine, choice), next_smaller(options, machine, choice))


def summary_of(options: SeineOptions, machine: Machine, choice: Choice[int]) -> str:
    """One line: steps, where, in which number format, and how."""
    steps = f"{options.steps} steps of {options.sampler.upper()}"
    return "; ".join((steps, *choice.describe(machine, options.branches)))
