"""From what a user asks for and what is free to a placement and a way of working."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from animegen_tooncrafter.checkpoint import ModelConfiguration
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.demands import LADDER, at_once, needs, smaller_than
from animegen_tooncrafter.placement.placement import STEERS, Placement, offload, parallel, single, split
from animegen_tooncrafter.plugin import TOONCRAFTER
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
from animegen_torch.placement.demands import BYTES
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.sizes import Sizes

if TYPE_CHECKING:
    from animegen_tooncrafter.plugin import ToonCrafterOptions


def choose(
    options: ToonCrafterOptions, machine: Machine, sizes: Sizes[ModelConfiguration], clip: Clip
) -> Choice[Chunking]:
    """The fastest way that fits, among those that `options` allow; the smallest where none does.

    Raises:
        ResourceError: The options need more devices than there are.
        InputError, UsageError: A map is not what it should be.
    """
    return first_that_fits(machine, _ways(options, machine, sizes, clip))


def _ways(
    options: ToonCrafterOptions, machine: Machine, sizes: Sizes[ModelConfiguration], clip: Clip
) -> Iterator[Choice[Chunking]]:
    """Placements, the fastest first; in each the branches of guidance together before apart, down the ladder."""
    sketch = options.sketch is not None
    for placement in _placements(options, machine, sizes, clip):
        for together in _guidance(options.guidance, placement, clip.branches):
            for chunking in _ladder(options, placement):
                need = needs(
                    sizes, placement, clip, machine.dtypes, together=together, chunking=chunking, sketch=sketch
                )
                yield Choice(placement, together, chunking, need)


def _guidance(asked: str, placement: Placement, branches: int) -> Iterator[bool]:
    """Whether the branches of guidance run together, the faster first."""
    if placement.twin is not None or (asked in ("together", "auto") and branches > 1):
        yield True
    if asked in ("apart", "auto") or branches == 1 or placement.twin is not None:
        yield False


def _placements(
    options: ToonCrafterOptions, machine: Machine, sizes: Sizes[ModelConfiguration], clip: Clip
) -> Iterator[Placement]:
    devices, name = machine.devices, options.device_map
    first, second = devices[0], devices[1] if len(devices) > 1 else None
    wants_two = options.guidance == "parallel" and clip.branches > 1
    own = own_placement(name, machine, sizes, stage=TOONCRAFTER.stage, follows=STEERS)
    if own is not None:
        if wants_two and own.twin is None:
            what = "guidance=parallel needs two devices for the U-Net"
            raise too_few_devices(what, machine, hint="name both in the JSON file")
        yield own
        return
    if second is None and (wants_two or name == "split"):
        asked = "device_map=split" if name == "split" else "guidance=parallel"
        raise too_few_devices(f"{asked} needs two devices", machine)
    if second is not None and name in ("auto", "split", "single"):
        base = single(first) if name == "single" else split(first, second)
        other = second if name == "single" else first
        if wants_two or (name == "auto" and options.guidance == "auto" and clip.branches > 1):
            yield parallel(base, other)
        if wants_two:
            return
        if name != "single":
            yield base
    roomy = roomiest(machine)
    if name in ("auto", "single"):
        yield single(roomy if name == "auto" else first)
    if name in ("auto", "offload"):
        yield offload_to(roomy, machine, sizes)
        if (have := machine.free.get(roomy)) is not None:
            yield _by_blocks(roomy, have, machine, sizes, clip)


def _by_blocks(device: str, have: int, machine: Machine, sizes: Sizes[ModelConfiguration], clip: Clip) -> Placement:
    """Whatever of the U-Net fits beside its activations stays, the rest is brought when it runs."""
    size, memory = BYTES[machine.dtypes[device]], machine.free.get("cpu")
    base = offload(device, rest="file")
    smallest = Chunking(frames=1, recompute=True)
    step = needs(sizes, base, clip, machine.dtypes, together=False, chunking=smallest)[device][0]
    away = step + 2 * sizes.largest * size - have
    left = (memory or 0) * 0.8 if device != "cpu" else 0.0
    blocks: dict[str, str] = {}
    for name, numbers in sorted(sizes.layers.items(), key=lambda one: -one[1]):
        if away <= 0:
            break
        place = "cpu" if numbers * size < left else "disk"
        left -= numbers * size if place == "cpu" else 0
        away -= numbers * size
        blocks[name] = place
    return replace(base, blocks=blocks)


def _ladder(options: ToonCrafterOptions, placement: Placement) -> Sequence[Chunking]:
    on_processor = placement.devices["first_stage"] == "cpu"
    ways = [way for way in LADDER if not (way.offload and on_processor)]
    if options.decoder_frames is not None:
        asked = Chunking(options.decoder_frames)
        return [asked, *(way for way in smaller_than(asked) if way in ways)]
    if options.device_map == "auto" and placement.stay:
        # Parts that leave cost one reading of a file; the slowest ways of the decoder cost more.
        ways = [way for way in ways if not way.recompute]
    # More at once only helps where a device has many units to keep busy.
    return [way for way in ways if at_once(way) <= (2 if on_processor else 8)]


def next_smaller(options: ToonCrafterOptions, machine: Machine, choice: Choice[Chunking]) -> tuple[str, ...]:
    """What to type where a choice does not fit: the next smaller setting, and the one after it."""
    twin, name = choice.placement.twin, f"-o {TOONCRAFTER.stage}"
    hints = []
    if options.decoder_frames is not None and options.decoder_frames > 1:
        hints.append(f"{name}.decoder_frames=1 (the same clip, a little slower)")
    if choice.together and twin is None and options.guidance == "together":
        hints.append(f"{name}.guidance=apart (the same clip, a little slower)")
    if twin is not None and options.guidance == "parallel":
        hints.append(f"{name}.guidance=auto (one U-Net instead of two)")
    smaller = smaller_settings(TOONCRAFTER.stage, machine, choice, "448x256 (a smaller clip, in multiples of 64)")
    return (*hints, *smaller)
