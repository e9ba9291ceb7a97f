"""From what a user asks for and what is free to a placement and a way of working."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from animegen.errors import UsageError
from animegen_seine.model import PARTS, ModelConfiguration
from animegen_seine.placement.demands import needs
from animegen_seine.plugin import SEINE
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement.choice import (
    Choice,
    first_that_fits,
    offload_to,
    own_placement,
    roomiest,
    smaller_settings,
    too_few_devices,
)
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.placement import Placement, single, split
from animegen_torch.placement.sizes import Sizes

if TYPE_CHECKING:
    from animegen_seine.plugin import SeineOptions


def choose(options: SeineOptions, machine: Machine, sizes: Sizes[ModelConfiguration], clip: Clip) -> Choice[int]:
    """The fastest way that fits, among those that `options` allow; the smallest where none does.

    How the decoder works is the number of frames that it takes at once.

    Raises:
        ResourceError: The options need more devices than there are.
        InputError, UsageError: A map is not what it should be.
    """
    return first_that_fits(machine, _ways(options, machine, sizes, clip))


def _ways(
    options: SeineOptions, machine: Machine, sizes: Sizes[ModelConfiguration], clip: Clip
) -> Iterator[Choice[int]]:
    """Placements, the fastest first; in each the calls of guidance together before apart, more frames before fewer."""
    for placement in _placements(options, machine, sizes):
        # More frames at once only help where a device has many units to keep busy.
        most = 1 if placement.devices["first_stage"] == "cpu" else 4
        several = (options.decoder_frames,) if options.decoder_frames else tuple(dict.fromkeys((most, 1)))
        for way in ("together", "apart"):
            if clip.branches > 1 and options.guidance not in ("auto", way):
                continue
            together = way == "together" and clip.branches > 1
            for frames in several:
                need = needs(sizes, placement, clip, machine.dtypes, together=together, decoder_frames=frames)
                yield Choice(placement, together, frames, need)


def _placements(options: SeineOptions, machine: Machine, sizes: Sizes[ModelConfiguration]) -> Iterator[Placement]:
    devices, name = machine.devices, options.device_map
    own = own_placement(name, machine, sizes, stage=SEINE.stage)
    if own is not None:
        if own.twin is not None:
            raise UsageError(f"{name} asks for two U-Nets; seine runs one.", hint="one device for unet")
        yield own
        return
    if name == "split":
        if len(devices) < 2:
            raise too_few_devices("device_map=split needs two devices", machine)
        yield split(devices[0], devices[1], PARTS)
        return
    device = roomiest(machine) if name == "auto" else devices[0]
    if name in ("auto", "single"):
        yield single(device, PARTS)
    if name in ("auto", "offload"):
        yield offload_to(device, machine, sizes)


def next_smaller(options: SeineOptions, machine: Machine, choice: Choice[int]) -> tuple[str, ...]:
    """What to type where a choice does not fit: the next smaller setting, and those after it."""
    hints = []
    if choice.together and options.guidance == "together":
        hints.append("-o seine.guidance=apart (the same clip, a little slower)")
    if options.decoder_frames is not None and options.decoder_frames > 1:
        hints.append("-o seine.decoder_frames=1 (the same clip)")
    smaller = smaller_settings(SEINE.stage, machine, choice, "384x240 (a smaller clip, in multiples of 8)")
    return (*hints, *smaller)
