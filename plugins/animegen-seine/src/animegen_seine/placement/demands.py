"""How many bytes a placement takes on each device: weights, and what lies beside them while a part runs.

Arithmetic on shapes, without torch. What a network's layers hold at once is counted in numbers per position of the
largest feature map; what libraries keep for themselves is in `SLACK` and `WORKSPACE`, fitted to measurements on a
processor (`tests/test_seine_memory.py` measures some again).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from animegen_seine.model import ModelConfiguration
from animegen_seine.network.architecture import UNetConfiguration, down_plan, up_plan
from animegen_torch.diffusion.autoencoder.architecture import DOWN, FirstStageConfiguration
from animegen_torch.placement.placement import UNET, Placement

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
FLOAT = 4
SLACK = 1.1
"""What is taken above what is counted."""
HIDDEN = {"cpu": 2 * (8 << 20), "cuda": 2 * (256 << 20), "mps": 2 * (256 << 20)}
"""Hidden layers of a feed-forward network; see `animegen_torch.diffusion.layers`."""
WORKSPACE = {"cpu": 16 << 20, "cuda": 288 << 20, "mps": 256 << 20}
"""What libraries keep for themselves beside tensors."""
TEXT = 64 << 20
"""Activations of the text encoder for two prompts."""
TOKENS = 77


@dataclass(frozen=True)
class Clip:
    """What decides the memory of a clip: (T, H, W), and the calls of guidance in each step."""

    height: int
    width: int
    frames: int = 16
    branches: int = 2


@dataclass(frozen=True)
class Sizes:
    """What is known of a model before it is loaded.

    Attributes:
        model: Sizes of all parts.
        parameters: Numbers in each part.
        layers: Numbers in each layer of the U-Net, by its name.
        largest: Numbers in the largest single weight of the U-Net: so much of a layer comes at once.
    """

    model: ModelConfiguration
    parameters: Mapping[str, int]
    layers: Mapping[str, int]
    largest: int


@dataclass(frozen=True)
class Working:
    """How the parts work, where there is a choice between time and memory."""

    together: bool = True
    frames: int = 1


def sampling(clip: Clip, c: UNetConfiguration, dtype: str, kind: str, *, at_once: int) -> int:
    """Bytes that the U-Net takes in a step, `at_once` calls of guidance in one."""
    height, width = -(-clip.height // int(DOWN)), -(-clip.width // int(DOWN))
    positions = height * width * clip.frames * at_once
    scores = 2 * clip.frames * c.heads if kind == "cpu" else 0
    worst, held, share = 0.0, float(c.widths[0]), 1.0
    for plan in down_plan(c):
        for channels in plan.widths:
            worst = max(worst, held + _block(channels, plan.out, plan.attention, scores) * share)
            held += plan.out * share
        if plan.resize:
            share /= 4
            held += plan.out * share
    worst = max(worst, held + _block(c.widths[-1], c.widths[-1], True, scores) * share)
    before = c.widths[-1]
    for plan in up_plan(c):
        for channels in plan.widths:
            held -= (channels - before) * share
            # The two that are joined, the joined, and the block on it.
            worst = max(worst, held + (channels + _block(channels, plan.out, plan.attention, scores)) * share)
            before = plan.out
        if plan.resize:
            worst = max(worst, held + (before + 8 * plan.out + 4 * plan.out) * share)
            share *= 4
    attending = sum(plan.out * len(plan.widths) for plan in (*down_plan(c), *up_plan(c)) if plan.attention)
    keys = 2 * (attending + c.widths[-1]) * TOKENS * clip.branches
    state = 10 * 4 * height * width * clip.frames * clip.branches * FLOAT
    return round((SLACK * worst * positions + keys) * BYTES[dtype] + state + HIDDEN[kind] + WORKSPACE[kind])


def _block(channels: int, out: int, attention: bool, scores: int) -> float:
    """Numbers per position in a residual block with its transformer, input included."""
    residual = max(2 * channels + out, channels + 4 * out)
    return max(residual, channels + 8 * out + scores) if attention else residual


def autoencoding(clip: Clip, c: FirstStageConfiguration, dtype: str, kind: str, *, at_once: int = 1) -> int:
    """Bytes that encoder or decoder takes for `at_once` pictures, and the decoded clip; activations are float32."""
    worst = 0.0
    for level, width in enumerate(c.widths):
        wider = c.widths[min(level + 1, len(c.widths) - 1)]
        # Input, norm, result and the copies that a library makes of them in its own layout, or in the narrower type.
        worst = max(worst, (2 * wider + 3 * width + max(wider, width)) * 0.25**level)
    pixels = clip.height * clip.width
    half = 1.0 if dtype == "float32" else 1.25
    return round(
        SLACK * half * worst * pixels * at_once * FLOAT + 2 * 3 * pixels * clip.frames * FLOAT + WORKSPACE[kind]
    )


def needs(
    sizes: Sizes, placement: Placement, clip: Clip, working: Working, dtypes: Mapping[str, str]
) -> dict[str, tuple[int, str]]:
    """Bytes at the worst moment and when that is, by device; on the processor too what rests there."""
    found: dict[str, tuple[int, str]] = {}
    resting = 0
    for device in placement.used:
        dtype, kind = dtypes[device], device.partition(":")[0]
        size = BYTES[dtype]
        here = {part: sizes.parameters[part] * size for part, place in placement.devices.items() if place == device}
        away = sum(sizes.layers[name] for name in placement.blocks)
        if UNET in here and away:
            here[UNET] += (2 * sizes.largest - away) * size
        activations = {
            "text": (TEXT, "the prompt"),
            UNET: (
                sampling(clip, sizes.model.unet, dtype, kind, at_once=clip.branches if working.together else 1),
                "sampling",
            ),
            "first_stage": (
                autoencoding(clip, sizes.model.first_stage, dtype, kind, at_once=working.frames),
                "decoding",
            ),
        }
        moments = [
            (activations[part][0] + (sum(here.values()) if placement.stay else weights), activations[part][1])
            for part, weights in here.items()
        ]
        found[device] = max(moments)
        if device != "cpu":
            if not placement.stay and placement.rest == "cpu":
                resting += sum(here.values())
            resting += sum(sizes.layers[name] for name, place in placement.blocks.items() if place == "cpu") * size
    if resting:
        need, what = found.get("cpu", (0, "what waits for its turn"))
        found["cpu"] = (need + resting, what)
    return found
