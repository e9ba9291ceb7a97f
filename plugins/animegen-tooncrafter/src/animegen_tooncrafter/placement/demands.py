"""How many bytes a placement takes on each device: weights and activations of whatever is there at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from animegen_tooncrafter.checkpoint import ModelConfiguration
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.activations import decoding, encoding, features, sampling, waiting
from animegen_tooncrafter.placement.placement import STEERS, Placement
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement import demands
from animegen_torch.placement.demands import BYTES, TOWER, Moment
from animegen_torch.placement.placement import UNET
from animegen_torch.placement.sizes import Sizes

LADDER = (
    Chunking(frames=8),
    Chunking(frames=4),
    Chunking(frames=2),
    Chunking(frames=1),
    Chunking(frames=1, recompute=True),
    Chunking(frames=1, recompute=True, offload=True),
)
"""Ways of the decoder, the largest first; what each needs less of than the one before it is memory."""


def smaller_than(way: Chunking) -> list[Chunking]:
    """The ways of the ladder that take less memory than this one, the largest first."""
    slower = (way.recompute, way.offload)
    return [one for one in LADDER if at_once(one) < at_once(way) or (one.recompute, one.offload) > slower]


def at_once(way: Chunking) -> float:
    """Frames that the decoder works on at once."""
    return inf if way.frames is None else way.frames


def needs(
    sizes: Sizes[ModelConfiguration],
    placement: Placement,
    clip: Clip,
    dtypes: Mapping[str, str],
    *,
    together: bool = True,
    chunking: Chunking = LADDER[1],
    sketch: bool = False,
) -> dict[str, Moment]:
    """Bytes at the worst moment and when that is, by device; see `animegen_torch.placement.demands.needs`.

    Args:
        sizes: Of the model.
        placement: Where it is.
        clip: What is made.
        dtypes: Number format of what runs on each device.
        together: Whether all branches of guidance are in one call of the U-Net.
        chunking: How the decoder works.
        sketch: Whether there is a sketch encoder.
    """
    unet, first_stage = sizes.model.unet, sizes.model.first_stage
    frames = clip.frames if chunking.frames is None else chunking.frames

    def moments(part: str, device: str) -> Iterator[Moment]:
        dtype, kind = dtypes[device], device.partition(":")[0]
        if part in ("text", "image", "projector"):
            yield TOWER, "the prompt" if part == "text" else "the image"
        elif part == "first_stage":
            yield encoding(clip, first_stage, dtype, kind), "encoding"
            away = chunking.offload and kind != "cpu"
            yield (
                decoding(clip, first_stage, dtype, kind, at_once=frames, recompute=chunking.recompute, offload=away),
                "decoding",
            )
        elif part == UNET:
            calls = _calls(placement, device, clip.branches, together=together)
            yield sum(sampling(clip, unet, dtype, kind, at_once=branches) for branches in calls), "sampling"

    resting = 0
    if (first := placement.devices["first_stage"]) != "cpu":
        resting = round(features(first_stage) * clip.pixels) * BYTES[dtypes[first]]
        if chunking.offload:
            resting += waiting(clip, first_stage, dtypes[first], recompute=chunking.recompute)
    without = () if sketch else STEERS
    return demands.needs(sizes, placement, dtypes, moments, without=without, beside=STEERS, waiting=resting)


def _calls(placement: Placement, device: str, branches: int, *, together: bool) -> list[int]:
    """Branches at once in each call of a U-Net that runs on `device`."""
    calls = []
    if placement.devices[UNET] == device:
        calls.append(branches if placement.twin is None else 1)
    if placement.twin == device:
        calls.append(max(1, branches - 1))
    return [one if together else 1 for one in calls]
