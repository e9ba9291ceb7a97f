"""From what a user asks for and what is free to a placement and a way of working, and the plan that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import MissingError, ResourceError, UsageError
from animegen.stages import Demand, StagePlan
from animegen_seine.model import PARTS, ModelConfiguration, layer_of, new_part
from animegen_seine.placement.demands import BYTES, Clip, Sizes, Working, needs
from animegen_seine.placement.source import source_of
from animegen_seine.synthesis import STAGE, check_size
from animegen_torch.placement.machine import Machine, machine_of
from animegen_torch.placement.placement import UNET, Placement, offload, read_map, single, split

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_seine.plugin import SeineOptions


@dataclass(frozen=True)
class Choice:
    """A placement, how it works, and what that needs: (bytes, when) by device."""

    placement: Placement
    working: Working
    needs: Mapping[str, tuple[int, str]]

    def fits(self, machine: Machine) -> bool:
        """Whether there is as much on every device."""
        return all(
            (have := machine.free.get(device)) is None or need <= have for device, (need, _) in self.needs.items()
        )


def plan(options: SeineOptions, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of one clip; see `animegen.stages.StageSpec.plan`. Of files only the tables are read.

    Where a published file is not here yet, the plan is made for it all the same.

    Raises:
        InputError, UsageError: A file or a map is not what it should be, or the size cannot be drawn.
        ResourceError: A device is not here.
    """
    check_size(*size, frames)
    try:
        model = source_of(options, context).model
    except MissingError:  # the run says so itself
        model = ModelConfiguration()
    machine = machine_of(context, STAGE)
    choice = choose(options, machine, sizes_of(model), Clip(*size, frames, options.branches))
    return StagePlan(
        summary_of(options, machine, choice),
        tuple(Demand(device, need, machine.free.get(device), what) for device, (need, what) in choice.needs.items()),
        hint="; or ".join(next_smaller(options, machine, choice)),
    )


def sizes_of(model: ModelConfiguration) -> Sizes:
    """Sizes of a model, from networks made without memory."""
    numbers = {part: {name: one.numel() for name, one in new_part(part, model).state_dict().items()} for part in PARTS}
    layers: dict[str, int] = {}
    for name, count in numbers[UNET].items():
        layers[layer_of(name)] = layers.get(layer_of(name), 0) + count
    return Sizes(
        model, {part: sum(ones.values()) for part, ones in numbers.items()}, layers, max(numbers[UNET].values())
    )


def choose(options: SeineOptions, machine: Machine, sizes: Sizes, clip: Clip) -> Choice:
    """The fastest way that fits, among those that `options` allow; the smallest where none does.

    Raises:
        ResourceError: The options need more devices than there are.
        InputError, UsageError: A map is not what it should be.
    """
    choice: Choice | None = None
    for placement in _placements(options, machine, sizes):
        for working in _ways(options, clip, placement):
            choice = Choice(placement, working, needs(sizes, placement, clip, working, machine.dtypes))
            if choice.fits(machine):
                return choice
    assert choice is not None
    return choice


def _placements(options: SeineOptions, machine: Machine, sizes: Sizes) -> Iterator[Placement]:
    devices, name = machine.devices, options.device_map
    if name.endswith(".json"):
        known = tuple(dict.fromkeys((*devices, "cpu")))
        own = read_map(Path(name), PARTS, known, tuple(sizes.layers), stage=STAGE)
        if own.twin is not None:
            raise UsageError(f"{name} asks for two U-Nets; seine runs one.", hint="one device for unet")
        yield own
        return
    if name == "split":
        if len(devices) < 2:
            raise ResourceError(
                f"device_map=split needs two devices; there is {', '.join(devices)}.",
                hint="name them: --device cuda:0,cuda:1",
            )
        yield split(devices[0], devices[1], PARTS)
        return
    roomy = max(devices, key=lambda one: machine.free.get(one) or 0) if name == "auto" else devices[0]
    if name in ("auto", "single"):
        yield single(roomy, PARTS)
    if name in ("auto", "offload"):
        whole = sum(sizes.parameters.values()) * BYTES[machine.dtypes[roomy]]
        memory = machine.free.get("cpu")
        # In memory parts need not be converted again for every clip, but only where there is ample room for them.
        ample = roomy != "cpu" and (memory is None or 1.5 * whole < memory)
        yield offload(roomy, PARTS, rest="cpu" if ample else "file")


def _ways(options: SeineOptions, clip: Clip, placement: Placement) -> Iterator[Working]:
    """Together before apart, more frames before fewer."""
    # More frames at once only help where a device has many units to keep busy.
    most = 1 if placement.devices["first_stage"] == "cpu" else 4
    frames = (options.decoder_frames,) if options.decoder_frames else tuple(dict.fromkeys((most, 1)))
    for together in (True, False):
        if clip.branches > 1 and options.guidance not in ("auto", "together" if together else "apart"):
            continue
        for at_once in frames:
            yield Working(together and clip.branches > 1, at_once)


def next_smaller(options: SeineOptions, machine: Machine, choice: Choice) -> tuple[str, ...]:
    """What to type where a choice does not fit: the next smaller setting, and those after it."""
    placement = choice.placement
    hints = []
    if choice.working.together and options.guidance == "together":
        hints.append("-o seine.guidance=apart (the same clip, a little slower)")
    if options.decoder_frames is not None and options.decoder_frames > 1:
        hints.append("-o seine.decoder_frames=1 (the same clip)")
    if placement.stay:
        hints.append("-o seine.device_map=offload (each part comes when it runs)")
    device = placement.devices[UNET]
    if device != "cpu" and BYTES[machine.dtypes[device]] == 4:
        hints.append("--dtype float16 (half the memory)")
    hints.append("-o seine.size=384x240 (a smaller clip, in multiples of 8)")
    return tuple(hints)


def summary_of(options: SeineOptions, machine: Machine, choice: Choice) -> str:
    """One line: steps, where, in which number format, and how."""
    formats = dict.fromkeys(machine.dtypes[device] for device in choice.placement.used)
    words = [f"{options.steps} steps of {options.sampler.upper()}", choice.placement.describe(), " and ".join(formats)]
    if options.branches > 1:
        words.append("guidance together" if choice.working.together else "guidance apart")
    return "; ".join(words)
