"""Which frames of a clip are given, and which are to be drawn."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from animegen.errors import UsageError

TRANSITION = "onelast1"
"""Given are the first and the last frame."""


def frame_mask(kind: str, frames: int) -> Tensor:
    """(T,) float32: 1 for a frame that is to be drawn, 0 for one that is given.

    Args:
        kind: ``onelastK`` (the first and the last K frames are given), ``firstK`` (the first K are), ``all`` (none is).
        frames: T.

    Raises:
        UsageError: There is no such kind, or there are not as many frames.
    """
    mask = torch.ones(frames)
    if kind == "all":
        return mask
    match = re.fullmatch(r"(onelast|first)(\d+)", kind)
    if match is None:
        raise UsageError(f"{kind!r} is no kind of mask.", hint="onelast1, first1 or all")
    given = int(match[2])
    if given * (2 if match[1] == "onelast" else 1) > frames:
        raise UsageError(f"a clip of {frames} frames cannot have the frames given that {kind} names.")
    mask[:given] = 0
    if match[1] == "onelast" and given:
        mask[-given:] = 0
    return mask


def latent_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """A `frame_mask` (T,) as the network reads it, (1, 1, T, h, w)."""
    return mask.view(1, 1, -1, 1, 1).expand(1, 1, -1, height, width)
