"""How many bytes a placement takes on each device: weights, and what lies beside them while a part runs.

Arithmetic on shapes, without torch. What a network's layers hold at once is counted in numbers per position of the
largest feature map; what libraries keep for themselves is in `SLACK` and `WORKSPACE`, fitted to measurements on a
processor (`tests/test_seine_memory.py` measures some again).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from animegen_seine.model import ModelConfiguration
from animegen_seine.network.architecture import UNetConfiguration, down_plan, up_plan
from animegen_torch.diffusion.autoencoder.architecture import DOWN, FirstStageConfiguration
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement import demands
from animegen_torch.placement.demands import BYTES, FLOAT, HIDDEN, TOWER, WORKSPACE, Moment
from animegen_torch.placement.placement import UNET, Placement
from animegen_torch.placement.sizes import Sizes

SLACK = 1.1
"""What is taken above what is counted."""
TOKENS = 77


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
    sizes: Sizes[ModelConfiguration],
    placement: Placement,
    clip: Clip,
    dtypes: Mapping[str, str],
    *,
    together: bool = True,
    decoder_frames: int = 1,
) -> dict[str, Moment]:
    """Bytes at the worst moment and when that is, by device; see `animegen_torch.placement.demands.needs`."""

    def moments(part: str, device: str) -> Iterator[Moment]:
        dtype, kind = dtypes[device], device.partition(":")[0]
        if part == "text":
            yield TOWER, "the prompt"
        elif part == UNET:
            at_once = clip.branches if together else 1
            yield sampling(clip, sizes.model.unet, dtype, kind, at_once=at_once), "sampling"
        else:
            yield autoencoding(clip, sizes.model.first_stage, dtype, kind, at_once=decoder_frames), "decoding"

    return demands.needs(sizes, placement, dtypes, moments)
