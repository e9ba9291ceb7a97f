"""The baseline that every interpolator must beat: a plain dissolve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.media import Frames, Image
    from animegen.stages import Context, NoOptions


class Crossfade:
    """Each frame is the weighted mean of the two images, in the values as stored (no gamma)."""

    def __init__(self, options: NoOptions, context: Context) -> None:
        del options, context

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """One frame for each of `times`: (len(times), H, W, 3) uint8 RGB. `prompt` and `seed` change nothing.

        Premultiplied RGBA, (H, W, 4), is mixed in the same way.
        """
        frames = np.empty((len(times), *first.shape), np.uint8)
        for frame, time in zip(frames, times, strict=True):
            cv2.addWeighted(first, 1 - time, last, time, 0, dst=frame)
        return frames
