"""What a run of ToonCrafter will take, said before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import MissingError
from animegen.stages import Demand, StagePlan
from animegen_tooncrafter.checkpoint import ModelConfiguration
from animegen_tooncrafter.placement.activations import Clip
from animegen_tooncrafter.placement.choose import Choice, choose, next_smaller
from animegen_tooncrafter.placement.demands import Sizes
from animegen_tooncrafter.placement.placement import read_map
from animegen_tooncrafter.placement.sizes import sizes_for, sizes_of
from animegen_tooncrafter.placement.source import Files, Source, files_of, looked_into
from animegen_tooncrafter.sketch.guide import planned
from animegen_tooncrafter.synthesis import STAGE, check_size
from animegen_torch.placement.machine import Machine, machine_of

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
    check_size(*size, frames)
    sizes = sizes_before(options, context)
    machine = machine_of(context, STAGE)
    choice = chosen(options, machine, sizes, Clip(*size, frames, options.branches))
    return StagePlan(
        summary_of(options, machine, choice, frames),
        tuple(Demand(device, need, machine.free.get(device), what) for device, (need, what) in choice.needs.items()),
        hint="; or ".join(next_smaller(options, machine, choice)),
    )


def chosen(options: ToonCrafterOptions, machine: Machine, sizes: Sizes, clip: Clip) -> Choice:
    """`choose`, with the user's own map where the options name one."""
    own = None
    if options.device_map.endswith(".json"):
        own = read_map(Path(options.device_map), tuple(dict.fromkeys((*machine.devices, "cpu"))), tuple(sizes.layers))
    return choose(options, machine, sizes, clip, own)


def sizes_before(options: ToonCrafterOptions, context: Context) -> Sizes:
    """Sizes of what will be loaded, as far as that is known by now."""
    if options.file is not None:
        return sizes_of(looked_into((Path(options.file).expanduser(),)))
    if context.untrained:
        return sizes_for(ModelConfiguration())
    try:
        return sizes_of(looked_into(files_of(options, context)))
    except MissingError:  # the run says so itself
        return sizes_for(ModelConfiguration())


def sizes_of_source(source: Source) -> Sizes:
    """Sizes of what a stage loads."""
    return sizes_of(source.checkpoint) if isinstance(source, Files) else sizes_for(source.model)


def summary_of(options: ToonCrafterOptions, machine: Machine, choice: Choice, frames: int) -> str:
    """One line: steps, where, in which number format, and how."""
    placement, working = choice.placement, choice.working
    formats = dict.fromkeys(machine.dtypes[device] for device in placement.used)
    words = [f"{options.steps} steps", placement.describe(), " and ".join(formats)]
    if options.branches > 1 and placement.twin is None:
        words.append("guidance together" if working.together else "guidance apart")
    if working.frames < frames:
        words.append(f"decoded {working.frames} frame{'s' * (working.frames > 1)} at a time")
    if drawings := planned(options, frames):
        words.append(drawings)
    return "; ".join(words)
