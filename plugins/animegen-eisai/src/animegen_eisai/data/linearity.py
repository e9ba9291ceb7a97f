"""Which three frames are worth learning from: real movement of something, not of the camera, and evenly spaced.

Source: Chen & Zwicker, ECCV 2022 (RRLD, Restricted Relative Linear Discrepancy); thresholds of the released program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

HEIGHT, WIDTH = 360, 640
"""Of the frames that are judged; every threshold in pixels belongs to this size."""
DARK, DARK_SHARE = 2 / 255, 0.8
MOVES = 2.0
"""Pixels from which on something moves."""
COVERED_LEAST, COVERED_MOST = 0.0025, 0.5
PAN_MEAN, PAN_SPREAD = 0.25, 0.25
LINEAR = 0.3

Verdict = Literal["taken", "credits", "still", "pan", "bent"]


@dataclass(frozen=True)
class Judgement:
    """What was found of three frames.

    Attributes:
        verdict: ``taken``; or why not: ``pan`` (most of the picture moves, or all alike), ``still`` (too little moves),
            ``bent`` (what moves does not pass half way at half time).
        linearity: RRLD, the mean over what moves of |mean of both flows| / |difference of both flows|: 0 for a steady
            movement. NaN where nothing moves.
        coverage: Share of the picture that moves.
    """

    verdict: Verdict
    linearity: float
    coverage: float


def is_credits(frame: Tensor) -> bool:
    """Whether a frame, (3, H, W) uint8 RGB, is mostly black, as that of titles is."""
    dark = (frame < DARK * 255).all(0)
    return bool(dark.float().mean() >= DARK_SHARE)


def judge(to_before: Tensor, to_after: Tensor, *, linear: float = LINEAR) -> Judgement:
    """Judge the middle frame of three.

    A pixel where both flows are equal has no value; in the original a single one refuses all of the frame.

    Args:
        to_before, to_after: (2, H, W) flows, (dx, dy) in pixels, from the middle frame to the one before it and to the
            one after it.
        linear: RRLD from which on a movement is bent.
    """
    a, b = to_before.float(), to_after.float()
    lengths = a.square().sum(0).sqrt(), b.square().sum(0).sqrt()
    moves = (lengths[0] > MOVES) | (lengths[1] > MOVES)
    covered = moves & ~_leaves(a) & ~_leaves(b)
    coverage = float(covered.float().mean())
    difference = (a - b).square().sum(0).sqrt()[covered]
    mean = ((a + b) / 2).square().sum(0).sqrt()[covered]
    linearity = float((mean / difference).mean())
    if coverage > COVERED_MOST or any(map(_is_pan, (a, b), lengths)):
        verdict: Verdict = "pan"
    elif not coverage > COVERED_LEAST:
        verdict = "still"
    else:
        verdict = "taken" if linearity < linear else "bent"
    return Judgement(verdict, linearity, coverage)


def _leaves(flow: Tensor) -> Tensor:
    """Where a flow (dx, dy) leads out of the picture, (H, W) bool."""
    H, W = flow.shape[1:]
    x = torch.arange(W, device=flow.device, dtype=flow.dtype) + flow[0]
    y = torch.arange(H, device=flow.device, dtype=flow.dtype)[:, None] + flow[1]
    return (x < 0) | (y < 0) | (x > W) | (y > H)


def _is_pan(flow: Tensor, lengths: Tensor) -> bool:
    """Whether everything moves alike in one of the two directions at least."""
    spread = flow.flatten(1).std(1).min()  # of a sample: n - 1
    return bool(lengths.mean() > PAN_MEAN) and bool(spread < PAN_SPREAD)
