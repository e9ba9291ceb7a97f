"""How many bytes a placement takes on each device: weights, and what lies beside them while a part runs.

What lies beside them is the model's affair: arithmetic on the shapes of its networks, of which the constants that
every such arithmetic needs stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from animegen_torch.placement.placement import UNET, Placement
from animegen_torch.placement.sizes import Sizes

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
FLOAT = 4
HIDDEN = {"cpu": 2 * (8 << 20), "cuda": 2 * (256 << 20), "mps": 2 * (256 << 20)}
"""Hidden layers of a feed-forward network, by kind of device; see `animegen_torch.diffusion.layers`."""
WORKSPACE = {"cpu": 16 << 20, "cuda": 288 << 20, "mps": 256 << 20}
"""What libraries keep for themselves beside tensors, by kind of device."""
TOWER = 64 << 20
"""Activations of a tower of CLIP, or of what projects its tokens, for the prompts or pictures of a clip."""

Moment = tuple[int, str]
"""Bytes, and when they are taken, in a word or two."""


def needs(
    sizes: Sizes[Any],
    placement: Placement,
    dtypes: Mapping[str, str],
    moments: Callable[[str, str], Iterable[Moment]],
    *,
    without: Collection[str] = (),
    beside: Collection[str] = (),
    waiting: int = 0,
) -> dict[str, Moment]:
    """Bytes at the worst moment and when that is, by device; the processor's memory too, where something rests there.

    Args:
        sizes: Of the model.
        placement: Where it is.
        dtypes: Number format of what runs on each device.
        moments: ``moments(part, device)`` gives what lies beside weights while a part runs there, for each thing that
            it does; for the U-Net's device and for that of its twin.
        without: Parts that are not used.
        beside: Parts that are there while the U-Net runs, and nothing of their own at any other time.
        waiting: Bytes in the processor's memory that wait there while a clip is made, besides weights.
    """
    used = [part for part in sizes.parameters if part not in without]
    steered = [part for part in used if part == UNET or part in beside]
    found: dict[str, Moment] = {}
    for device in placement.used:
        held = {}
        for part in used:
            copies = (placement.devices[part] == device) + (placement.twin == device and part in steered)
            if copies:
                held[part] = copies * _weights(sizes, placement, part) * BYTES[dtypes[device]]
        worst = (sum(held.values()) if placement.stay else 0, "weights")
        for part in held:
            its = held if placement.stay else steered if part == UNET else [part]
            there = sum(held.get(one, 0) for one in its)
            worst = max([worst, *((there + taken, when) for taken, when in moments(part, device))])
        found[device] = worst
    resting = waiting + sum(_resting(sizes, placement, part, dtypes) for part in used)
    if resting:
        need, when = found.get("cpu", (0, "what waits for its turn"))
        found["cpu"] = (need + resting, when)
    return found


def _weights(sizes: Sizes[Any], placement: Placement, part: str) -> int:
    """Numbers of a part on the device it runs on."""
    if part != UNET or not placement.blocks:
        return sizes.parameters[part]
    away = sum(sizes.layers[name] for name in placement.blocks)
    return sizes.parameters[part] - away + 2 * sizes.largest


def _resting(sizes: Sizes[Any], placement: Placement, part: str, dtypes: Mapping[str, str]) -> int:
    """Bytes of a part in the processor's memory while it does not run."""
    device = placement.devices[part]
    if device == "cpu":
        return 0
    if part == UNET and placement.blocks:
        held = sum(sizes.layers[name] for name, place in placement.blocks.items() if place == "cpu")
    else:
        held = sizes.parameters[part] if not placement.stay and placement.rest == "cpu" else 0
    return held * BYTES[dtypes[device]]
