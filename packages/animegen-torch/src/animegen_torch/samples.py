"""What metrics of torch plugins check of a sample before they measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen.errors import UsageError
from animegen.media import describe

if TYPE_CHECKING:
    from animegen.measuring import Sample
    from animegen.media import Frames


def check_sample(sample: Sample, metric: str, *, least_side: int = 1) -> None:
    """Whether a metric can be computed of a sample as its record says it is.

    Raises:
        UsageError: Frames, reference or panels are not uint8 RGB of one size, or smaller than `least_side`, or there
            is another number of true frames than of frames. Floats are refused: nobody could tell their range.
    """
    frames = sample.frames
    for name, pictures in (("frames", frames), ("true frames", sample.reference), ("panels", sample.panels)):
        if pictures is None:
            continue
        known = isinstance(pictures, np.ndarray) and pictures.dtype == np.uint8
        if not known or pictures.ndim != 4 or pictures.shape[3] != 3 or not pictures.size:
            raise UsageError(f"{metric} reads {name} as (T, H, W, 3) uint8 RGB, not {describe(pictures)}.")
        if pictures.shape[1:] != frames.shape[1:]:
            raise UsageError(
                f"{metric} compares pictures of one size, but frames are {_size(frames)} and {name} {_size(pictures)}.",
                hint="bring both to one size before measuring",
            )
    if sample.reference is not None and len(sample.reference) != len(frames):
        raise UsageError(f"{metric} has {len(frames)} frames but {len(sample.reference)} true frames.")
    if sample.panels is not None and len(sample.panels) != 2:
        raise UsageError(f"{metric} reads two panels, not {len(sample.panels)}.")
    if min(frames.shape[1:3]) < least_side:
        raise UsageError(f"{metric} needs frames of at least {least_side} px a side, not {_size(frames)}.")


def _size(pictures: Frames) -> str:
    return f"{pictures.shape[2]} × {pictures.shape[1]}"
