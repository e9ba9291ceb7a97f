"""What a run of ToonCrafter will take, said before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import MissingError
from animegen.stages import StagePlan
from animegen_tooncrafter.checkpoint import BLUEPRINT, ModelConfiguration
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.choose import choose, next_smaller
from animegen_tooncrafter.placement.demands import at_once
from animegen_tooncrafter.placement.source import files_of, looked_into
from animegen_tooncrafter.plugin import TOONCRAFTER
from animegen_tooncrafter.sketch.guide import planned
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement.choice import Choice
from animegen_torch.placement.machine import Machine, machine_of
from animegen_torch.placement.sizes import Sizes

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_tooncrafter.plugin import ToonCrafterOptions


def plan(options: ToonCrafterOptions, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of one clip; see `animegen.stages.StageSpec.plan`. Of files only the tables are read.

    Where the published file is not here yet, the plan is made for it all the same: what is needed should be known
    before so much is downloaded.

    Raises:
        InputError, UsageError: A file or a map is not what it should be, or the size cannot be drawn.
        ResourceError: A device is not here.
    """
    TOONCRAFTER.check_size(*size, frames)
    sizes = Sizes.of(BLUEPRINT, _model(options, context))
    machine = machine_of(context, TOONCRAFTER.stage)
    choice = choose(options, machine, sizes, Clip(*size, frames, options.branches))
    summary = summary_of(options, machine, choice, frames)
    return choice.plan(machine, summary, next_smaller(options, machine, choice))


def _model(options: ToonCrafterOptions, context: Context) -> ModelConfiguration:
    """Sizes of what will be loaded, as far as they are known by now."""
    if options.file is not None:
        return looked_into((Path(options.file).expanduser(),)).model
    if context.untrained:
        return ModelConfiguration()
    try:
        return looked_into(files_of(options, context)).model
    except MissingError:  # the run says so itself
        return ModelConfiguration()


def summary_of(options: ToonCrafterOptions, machine: Machine, choice: Choice[Chunking], frames: int) -> str:
    """One line: steps, where, in which number format, and how."""
    words = [f"{options.steps} steps", *choice.describe(machine, options.branches)]
    if (several := at_once(choice.decoding)) < frames:
        words.append(f"decoded {several} frame{'s' * (several > 1)} at a time")
    if drawings := planned(options, frames):
        words.append(drawings)
    return "; ".join(words)
