"""From what a user asks for and what is free to a placement and a way of working."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from animegen.errors import ResourceError
from animegen_tooncrafter.placement.activations import BYTES, Clip
from animegen_tooncrafter.placement.demands import LADDER, Sizes, Working, needs
from animegen_tooncrafter.placement.placement import Placement, offload, parallel, single, split
from animegen_torch.placement.machine import Machine

if TYPE_CHECKING:
    from animegen_tooncrafter.plugin import ToonCrafterOptions


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


def choose(
    options: ToonCrafterOptions,
    machine: Machine,
    sizes: Sizes,
    clip: Clip,
    own: Placement | None = None,
) -> Choice:
    """The fastest way that fits, among those that `options` allow; the smallest where none does.

    Args:
        options: Of the stage.
        machine: What is here.
        sizes: Of the model.
        clip: What is to be made.
        own: A placement of the user's own, instead of what ``device_map`` names.

    Raises:
        ResourceError: The options need more devices than there are.
    """
    sketch = options.sketch is not None
    choice: Choice | None = None
    for placement, together in _candidates(options, machine, sizes, clip, own):
        for working in _ladder(options, machine, placement):
            working = replace(working, together=together)
            choice = Choice(placement, working, needs(sizes, placement, clip, working, machine.dtypes, sketch=sketch))
            if choice.fits(machine):
                return choice
    assert choice is not None
    return choice


def _candidates(
    options: ToonCrafterOptions, machine: Machine, sizes: Sizes, clip: Clip, own: Placement | None
) -> Iterator[tuple[Placement, bool]]:
    """Placements with whether the branches of guidance run together, the fastest first."""
    placements = list(_placements(options, machine, sizes, clip, own))
    asked = options.guidance
    for placement in placements:
        if placement.twin is not None or (asked in ("together", "auto") and clip.branches > 1):
            yield placement, True
        if asked in ("apart", "auto") or clip.branches == 1 or placement.twin is not None:
            yield placement, False


def _placements(
    options: ToonCrafterOptions, machine: Machine, sizes: Sizes, clip: Clip, own: Placement | None
) -> Iterator[Placement]:
    devices, name = machine.devices, options.device_map
    first, second = devices[0], devices[1] if len(devices) > 1 else None
    wants_two = options.guidance == "parallel" and clip.branches > 1
    if own is not None:
        if wants_two and own.twin is None:
            raise _too_few("guidance=parallel needs two devices for the U-Net", devices, "name both in the JSON file")
        yield own
        return
    if second is None and (wants_two or name == "split"):
        asked = "device_map=split" if name == "split" else "guidance=parallel"
        raise _too_few(f"{asked} needs two devices", devices, "name them: --device cuda:0,cuda:1")
    if second is not None and name in ("auto", "split", "single"):
        base = single(first) if name == "single" else split(first, second)
        other = second if name == "single" else first
        if wants_two or (name == "auto" and options.guidance == "auto" and clip.branches > 1):
            yield parallel(base, other)
        if wants_two:
            return
        if name != "single":
            yield base
    roomy = max(devices, key=lambda one: machine.free.get(one) or 0)
    if name in ("auto", "single"):
        yield single(roomy if name == "auto" else first)
    if name in ("auto", "offload"):
        yield from _offloads(roomy, machine, sizes, clip)


def _offloads(device: str, machine: Machine, sizes: Sizes, clip: Clip) -> Iterator[Placement]:
    """Parts one after another; at last the U-Net by blocks, as few as must be."""
    size = BYTES[machine.dtypes[device]]
    memory = machine.free.get("cpu")
    whole = sum(sizes.parameters.values()) * size
    # In memory parts need not be converted again for every clip, but only where there is ample room for them.
    roomy = device != "cpu" and (memory is None or 1.5 * whole < memory)
    yield offload(device, rest="cpu" if roomy else "file")
    have = machine.free.get(device)
    if have is None:
        return
    # In blocks: whatever of the U-Net fits beside its activations stays, the rest is brought when it runs.
    base = offload(device, rest="file")
    step = needs(sizes, base, clip, Working(together=False, frames=1, recompute=True), machine.dtypes)[device][0]
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
    yield replace(base, blocks=blocks)


def _ladder(options: ToonCrafterOptions, machine: Machine, placement: Placement) -> Sequence[Working]:
    on_processor = placement.devices["first_stage"] == "cpu"
    ways = [way for way in LADDER if not (way.offload and on_processor)]
    if options.decoder_frames is not None:
        smaller = [way for way in ways if way.frames < options.decoder_frames or way.recompute]
        return [Working(frames=options.decoder_frames), *smaller]
    if options.device_map == "auto" and placement.stay:
        # Parts that leave cost one reading of a file; the slowest ways of the decoder cost more.
        ways = [way for way in ways if not way.recompute]
    # More at once only helps where a device has many units to keep busy.
    return [way for way in ways if way.frames <= (2 if on_processor else 8)]


def _too_few(what: str, devices: Sequence[str], hint: str) -> ResourceError:
    return ResourceError(f"{what}; there is {', '.join(devices)}.", hint=hint)


def next_smaller(options: ToonCrafterOptions, machine: Machine, choice: Choice) -> tuple[str, ...]:
    """What to type where a choice does not fit: the next smaller setting, and the one after it."""
    placement, device = choice.placement, choice.placement.devices["unet"]
    name = "-o tooncrafter"
    hints = []
    if options.decoder_frames is not None and options.decoder_frames > 1:
        hints.append(f"{name}.decoder_frames=1 (the same clip, a little slower)")
    if choice.working.together and placement.twin is None and options.guidance == "together":
        hints.append(f"{name}.guidance=apart (the same clip, a little slower)")
    if placement.twin is not None and options.guidance == "parallel":
        hints.append(f"{name}.guidance=auto (one U-Net instead of two)")
    if placement.stay:
        hints.append(f"{name}.device_map=offload (each part comes when it runs)")
    if device != "cpu" and BYTES[machine.dtypes[device]] == 4:
        hints.append("--dtype float16 (half the memory)")
    hints.append(f"{name}.size=448x256 (a smaller clip, in multiples of 64)")
    return tuple(hints)
