"""From decoded frames to pictures, and what may be done to the ends of a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from animegen.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def to_frames(decoded: Tensor) -> NDArray[np.uint8]:
    """(T, 3, H, W), cut to [-1, 1] -> (T, H, W, 3) uint8 RGB; levels are cut off, not rounded, as published.

    Raises:
        StageError: There are values that are not numbers: they would turn into black silently.
    """
    values = decoded.detach().float()
    if bool(values.sum().isnan()):
        raise StageError("decoded frames hold values that are not numbers.", hint="use --dtype float32")
    levels = ((values.clamp(-1, 1) + 1) / 2 * 255).to(torch.uint8)
    frames: NDArray[np.uint8] = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return frames


def match_tone(decoded: Tensor, first: Tensor, last: Tensor, *, most: float = 0.25) -> Tensor:
    """Take the drift of brightness and contrast out of a clip.

    The first and the last decoded frame show what the decoder makes of two known pictures. For each of both a factor
    and an addend per channel are found that give it the mean and the spread of its keyframe; every frame gets those
    of both, blended by its time. A clip whose ends already have the keyframes' tone is left as it is.

    Args:
        decoded: (T, 3, H, W), T at least 2.
        first, last: Keyframes, (3, H, W) in [-1, 1].
        most: Largest change of the factor from 1, and of the addend from 0: a frame that differs by more is not
            drift but something else.

    Returns:
        A new tensor of the shape of `decoded`, float32.
    """
    ends = torch.stack((decoded[0], decoded[-1])).float().clamp(-1, 1)
    wanted = torch.stack((first, last)).to(ends)
    mean, spread = ends.mean((2, 3)), ends.std((2, 3))
    factor = (wanted.std((2, 3)) / spread.clamp_min(1e-3)).clamp(1 - most, 1 + most)
    factor = torch.where(spread > 1e-3, factor, torch.ones_like(factor))  # a flat frame has no contrast to match
    addend = (wanted.mean((2, 3)) - mean * factor).clamp(-most, most)
    time = torch.linspace(0, 1, len(decoded), device=decoded.device).view(-1, 1)
    factor, addend = (torch.lerp(pair[:1], pair[1:], time)[:, :, None, None] for pair in (factor, addend))
    return decoded.float() * factor + addend


def copy_keyframes(decoded: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """The clip with the keyframes themselves at its ends instead of what was decoded; a new tensor."""
    clip = decoded.clone()
    clip[0], clip[-1] = first.to(clip), last.to(clip)
    return clip


def as_loop(decoded: Tensor) -> Tensor:
    """The clip without its last frame, which in a loop is the first one again."""
    return decoded[:-1]
