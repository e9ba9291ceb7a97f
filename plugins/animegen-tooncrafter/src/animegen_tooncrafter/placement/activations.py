"""How much memory a part takes while it runs, besides its weights: arithmetic on shapes, without torch.

Each function follows its network layer by layer and counts the tensors that are there at once, in numbers per position
of a feature map. What cannot be read off the code (what a library's convolution takes for itself, copies in another
layout, pieces an allocator cannot use again) is in `SLACK`, fitted to measurements on a processor: seeded networks of a
third to the full width, 2 to 16 frames, 64 to 192 pixels a side, in float32 and bfloat16
(`tests/test_tooncrafter_memory.py` measures some of them again and holds the result between what was measured and 1.6
times that).
"""

from __future__ import annotations

from animegen_tooncrafter.diffusion.architecture import UNetConfiguration, input_plan, output_plan
from animegen_torch.diffusion.autoencoder.architecture import DOWN, FirstStageConfiguration
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement.demands import BYTES, FLOAT, HIDDEN, WORKSPACE

TOKENS = 77 + 256
"""Tokens of a context: text, then image."""

SLACK = 1.05
"""What is taken above what is counted."""


def sampling(clip: Clip, c: UNetConfiguration, dtype: str, kind: str, *, at_once: int) -> int:
    """Bytes that the U-Net takes in a step.

    Args:
        clip: What is sampled.
        c: The U-Net's sizes.
        dtype: What it computes in.
        kind: Kind of device: ``cpu``, ``cuda`` or ``mps``.
        at_once: Branches that run in one call.
    """
    positions = clip.pixels // int(DOWN**2) * clip.frames * at_once
    worst = held = 0.0
    share = 1.0  # of the largest size's positions
    for plan in input_plan(c):
        after = share / 4 if plan.kind == "down" else share
        worst = max(worst, held + _block(plan.channels, plan.out_channels, plan.attention, share))
        share = after
        held += plan.out_channels * share
    middle = input_plan(c)[-1].out_channels
    worst = max(worst, held + _block(middle, middle, True, share))
    before = middle
    for plan in output_plan(c):
        skip = plan.channels - before
        held -= skip * share
        worst = max(worst, held + (before + skip + plan.channels) * share)  # while both are joined
        worst = max(worst, held + _block(plan.channels, plan.out_channels, plan.attention, share))
        if plan.up:  # the doubled picture, and the convolution of it, beside what went in
            worst = max(worst, held + (plan.channels + plan.out_channels + 8 * plan.out_channels) * share)
            share *= 4
        before = plan.out_channels
    numbers = worst * positions
    keys = 2 * sum(plan.out_channels for plan in (*input_plan(c), *output_plan(c)) if plan.attention) * TOKENS
    state = 6 * clip.branches * 4 * positions // at_once * FLOAT  # latents, predictions, noise
    fixed = keys * clip.branches * BYTES[dtype] + state + HIDDEN[kind] + WORKSPACE[kind]
    return round(SLACK * numbers * BYTES[dtype] + fixed)


def _block(channels: int, out: int, attention: bool, share: float) -> float:
    """Numbers at once in a block, its input included, which its caller holds to the end."""
    residual = max(2 * channels + out, channels + 4 * out)
    if not attention:
        return residual * share
    # Around attention over time: what came in, tokens, their norm, queries, keys, values, scaled queries, the mixture
    # twice (in two layouts), and what goes out.
    return max(residual, channels + 10 * out) * share


def encoding(clip: Clip, c: FirstStageConfiguration, dtype: str, kind: str) -> int:
    """Bytes that the encoder takes for both keyframes, one after the other, with their features."""
    size = BYTES[dtype]
    worst, kept = 0.0, float(c.ch)  # what the first convolution gives is a feature
    for level, width in enumerate(c.widths):
        channels = c.widths[level - 1] if level else c.ch
        # A block's input, its norm, what its convolution gives, and copies of input and result in the library's layout.
        worst = max(worst, kept + (2 * channels + 2 * width + max(channels, width)) * 0.25**level)
        kept += width * 0.25**level
    numbers = features(c) * size + SLACK * worst * FLOAT
    return round(numbers * clip.pixels + WORKSPACE[kind])


def features(c: FirstStageConfiguration) -> float:
    """Numbers in the features of both keyframes, per pixel."""
    return 2 * (c.ch + sum(width * 0.25**level for level, width in enumerate(c.widths)))


def prepared(c: FirstStageConfiguration) -> float:
    """Numbers in what the decoder makes of the features, per pixel: what is added, and keys and values."""
    ch, second, *_ = c.widths
    added = 2 * (ch + second / 4 + c.ch)
    return added + 2 * 2 * 512 * (1 / 4**2 + 1 / 4**3)


def decoding(
    clip: Clip,
    c: FirstStageConfiguration,
    dtype: str,
    kind: str,
    *,
    at_once: int,
    recompute: bool = False,
    offload: bool = False,
) -> int:
    """Bytes that the decoder takes.

    Args:
        at_once: Frames worked on at once.
        recompute, offload: See `Chunking`; what is offloaded is counted by `waiting`.
    """
    size, frames = BYTES[dtype], clip.frames
    at_once = min(at_once, frames)
    worst = 0.0
    for level, width in reversed(list(enumerate(c.widths))):
        share = 0.25**level
        # Within a level: what waits on both sides of a time stack, and a few frames as float32 on their way through.
        few = at_once + (2 if at_once < frames else 0)
        queue = 0.0 if offload else _queue(clip, width, level, recompute) * size
        worst = max(worst, queue + few * _frame(width, width, size) * share)
        if level:  # into the next larger one: its queue fills while these empty
            ahead = c.widths[level - 1]
            grown = 0.0 if offload else frames * ahead * share * 4 * size
            worst = max(worst, max(queue, grown) + at_once * _frame(width, ahead, size) * share * 4)
    held = (prepared(c) + features(c)) * size + frames * 3 * FLOAT * 3
    return round((SLACK * worst + held) * clip.pixels + WORKSPACE[kind])


def waiting(clip: Clip, c: FirstStageConfiguration, dtype: str, *, recompute: bool = False) -> int:
    """Bytes of the clip that waits between two layers of the decoder, at the largest."""
    most = max(_queue(clip, width, level, recompute) for level, width in enumerate(c.widths))
    return round(most * clip.pixels * BYTES[dtype])


def _queue(clip: Clip, width: int, level: int, recompute: bool) -> float:
    """Numbers per pixel that wait around a time stack: its input and, unless it is computed twice, its first half."""
    return (1 if recompute else 2) * clip.frames * width * 0.25**level


def _frame(channels: int, out: int, size: int) -> float:
    """Bytes per position of one frame on its way through a block."""
    # Input, norm, result, and copies of the first two in the library's layout or in the narrower type.
    return (2 * channels + 2 * out) * FLOAT + (channels + out) * (FLOAT if size == FLOAT else FLOAT + size)
