"""How many bytes a placement takes on each device: weights and activations of whatever is there at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.placement.activations import (
    BYTES,
    TOWER,
    Clip,
    decoding,
    encoding,
    features,
    sampling,
    waiting,
)
from animegen_tooncrafter.placement.placement import Placement
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration


@dataclass(frozen=True)
class Sizes:
    """What is known of a model before it is loaded.

    Attributes:
        parameters: Numbers in each part.
        layers: Numbers in each layer of the U-Net, by its name; together those of the part.
        largest: Numbers in the largest single weight of the U-Net: so much of a layer comes at once.
        unet, first_stage: Their sizes.
    """

    parameters: Mapping[str, int]
    layers: Mapping[str, int]
    largest: int
    unet: UNetConfiguration = field(default_factory=UNetConfiguration)
    first_stage: FirstStageConfiguration = field(default_factory=FirstStageConfiguration)


@dataclass(frozen=True)
class Working:
    """How the parts work, where there is a choice between time and memory.

    Attributes:
        together: All branches of guidance in one call of the U-Net.
        frames: Frames that the decoder works on at once.
        recompute: See `first_stage.sweeps.Chunking`.
        offload: The same.
    """

    together: bool = True
    frames: int = 4
    recompute: bool = False
    offload: bool = False


LADDER = (
    Working(frames=8),
    Working(frames=4),
    Working(frames=2),
    Working(frames=1),
    Working(frames=1, recompute=True),
    Working(frames=1, recompute=True, offload=True),
)
"""Ways of the decoder, the largest first; what each needs less of than the one before it is memory."""


def needs(
    sizes: Sizes, placement: Placement, clip: Clip, working: Working, dtypes: Mapping[str, str], *, sketch: bool = False
) -> dict[str, tuple[int, str]]:
    """Bytes at the worst moment and when that is, by device; the processor's memory too, where something rests there.

    Args:
        sizes: Of the model.
        placement: Where it is.
        clip: What is made.
        working: How.
        dtypes: Number format of what runs on each device.
        sketch: Whether there is a sketch encoder.
    """
    parts = [part for part in sizes.parameters if sketch or part != "sketch"]

    def weights(part: str, device: str) -> int:
        return sizes.parameters[part] * BYTES[dtypes[device]]

    def unet(device: str) -> int:
        size = BYTES[dtypes[device]]
        away = sum(sizes.layers[name] for name in placement.blocks)
        return (sizes.parameters["unet"] - away + (2 * sizes.largest if away else 0)) * size

    found: dict[str, tuple[int, str]] = {}
    for device in placement.used:
        dtype, kind = dtypes[device], device.partition(":")[0]
        here = {part for part in parts if placement.devices[part] == device}
        held = {part: unet(device) if part == "unet" else weights(part, device) for part in here}
        calls = _calls(placement, device, clip.branches, together=working.together)
        twins = (unet(device) + (weights("sketch", device) if sketch else 0)) if placement.twin == device else 0
        resident = sum(held.values()) + twins if placement.stay else 0
        moments = [(resident, "weights")]

        def moment(activations: int, name: str, *its: int) -> None:
            own = 0 if placement.stay else sum(its)
            moments.append((resident + own + activations, name))  # noqa: B023 - called at once

        for part in ("text", "image", "projector"):
            if part in here:
                moment(TOWER, "the prompt" if part == "text" else "the image", held[part])
        if "first_stage" in here:
            first = sizes.first_stage
            moment(encoding(clip, first, dtype, kind), "encoding", held["first_stage"])
            away = working.offload and kind != "cpu"
            frames, recompute = working.frames, working.recompute
            decode = decoding(clip, first, dtype, kind, at_once=frames, recompute=recompute, offload=away)
            moment(decode, "decoding", held["first_stage"])
        if calls:
            step = sum(sampling(clip, sizes.unet, dtype, kind, at_once=at_once) for at_once in calls)
            moment(step, "sampling", held.get("unet", 0), held.get("sketch", 0), twins)
        found[device] = max(moments)
    resting = _resting(sizes, placement, clip, working, dtypes, parts)
    if resting:
        need, what = found.get("cpu", (0, "what waits for its turn"))
        found["cpu"] = (need + resting, what)
    return found


def _calls(placement: Placement, device: str, branches: int, *, together: bool) -> list[int]:
    """Branches at once in each call of a U-Net that runs on `device`."""
    calls = []
    if placement.devices["unet"] == device:
        calls.append(branches if placement.twin is None else 1)
    if placement.twin == device:
        calls.append(max(1, branches - 1))
    return [one if together else 1 for one in calls]


def _resting(
    sizes: Sizes,
    placement: Placement,
    clip: Clip,
    working: Working,
    dtypes: Mapping[str, str],
    parts: list[str],
) -> int:
    """Bytes in the processor's memory of what runs elsewhere."""
    total = 0
    for part in parts:
        device = placement.devices[part]
        if (
            device != "cpu"
            and not placement.stay
            and placement.rest == "cpu"
            and not (part == "unet" and placement.blocks)
        ):
            total += sizes.parameters[part] * BYTES[dtypes[device]]
    device = placement.devices["unet"]
    if device != "cpu":
        held = sum(sizes.layers[name] for name, place in placement.blocks.items() if place == "cpu")
        total += held * BYTES[dtypes[device]]
    first = placement.devices["first_stage"]
    if first != "cpu":
        total += round(features(sizes.first_stage) * clip.pixels) * BYTES[dtypes[first]]
        if working.offload:
            total += waiting(clip, sizes.first_stage, dtypes[first], recompute=working.recompute)
    return total
