"""Temporal flicker: first and second differences in time, in levels of 0 to 255."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from animegen.measuring import Missing
from animegen_torch.samples import check_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Frames, Image, Mask
    from animegen.stages import Context

AGREE = 8
"""Levels within which both panels agree, after a median of 3 × 3."""
MARGIN = 8
"""Pixels kept away from any change."""


class Flicker:
    """Flicker of a clip.

    * ``luma-d2``: mean absolute second difference of each frame's mean luma. Flicker of the whole picture; small motion
      does not change it. The best single number on line art.
    * ``flicker-mae`` (each step): mean absolute difference to the next frame. Motion raises it, and so does a lower
      frame rate.
    * ``flicker-d2``: mean absolute second difference of pixels. Steady change does not raise it, but a clean line in
      motion does: read it against the true clip's.
    * ``static-flicker``: ``flicker-mae`` over what should stand still, which is where both panels agree.
    """

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """The values of a clip; second differences need three frames.

        Raises:
            UsageError: Frames or panels are not uint8 RGB of one size.
        """
        check_sample(sample, "flicker")
        frames = sample.frames
        return {
            "luma-d2": second_difference([mean_luma(frame) for frame in frames]),
            "flicker-mae": differences(frames),
            "flicker-d2": second_differences(frames),
            "static-flicker": static_flicker(frames, sample.panels),
        }


def differences(frames: Frames) -> list[float]:
    """Mean absolute difference of every frame to the next, levels."""
    return [float(cv2.norm(one, other, cv2.NORM_L1)) / one.size for one, other in pairwise(frames)]


def mean_luma(frame: Image) -> float:
    """Mean Rec. 601 luma, 0 to 255."""
    return float(frame.reshape(-1, 3).mean(0, dtype=np.float64) @ (0.299, 0.587, 0.114))


def second_difference(series: Sequence[float]) -> Value:
    """Mean absolute second difference of a series."""
    if len(series) < 3:
        return Missing("a second difference needs three frames")
    return float(np.abs(np.diff(series, n=2)).mean())


def second_differences(frames: Frames) -> Value:
    """Mean absolute second difference of pixels, levels. A few frames at a time are in memory."""
    if len(frames) < 3:
        return Missing("a second difference needs three frames")
    total: int = 0
    for before, here, after in zip(frames, frames[1:], frames[2:], strict=False):
        total += int(np.abs(before.astype(np.int16) - 2 * here.astype(np.int16) + after).sum(dtype=np.int64))
    return float(total / (len(frames) - 2) / frames[0].size)


def static_flicker(frames: Frames, panels: Frames | None) -> Value:
    """Mean absolute difference between frames where both panels agree, levels."""
    if panels is None:
        return Missing("there are no panels")
    if len(frames) < 2:
        return Missing("there is one frame only")
    where = standing_still(panels)
    if not where.any():
        return Missing("no part of the panels stands still")
    steps = [float(np.abs(one[where].astype(np.int16) - other[where]).mean()) for one, other in pairwise(frames)]
    return float(np.mean(steps))


def standing_still(panels: Frames) -> Mask:
    """Where both panels agree, `MARGIN` pixels away from any change, (H, W) bool."""
    first, last = (cv2.medianBlur(np.ascontiguousarray(panel), 3) for panel in panels)
    change: Mask = np.any(np.asarray(cv2.absdiff(first, last)) >= AGREE, axis=2)
    if not change.any():
        return np.ones_like(change)
    away = cv2.distanceTransform((~change).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away > MARGIN)
