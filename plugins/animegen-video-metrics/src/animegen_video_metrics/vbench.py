"""Steadiness as VBench 0.1.5 scores it (Huang et al. 2024), with what can be had without its networks.

A cross-fade wins the first two, whatever it shows. They are here to be compared with other people's tables.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from animegen.measuring import Missing
from animegen_torch.samples import check_sample
from animegen_video_metrics.dis import LEAST_SIDE, Dis
from animegen_video_metrics.flicker import differences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Frames
    from animegen.stages import Context

FASTEST = 0.05


class VBench:
    """Scores of a clip by VBench's names.

    * ``vbench-temporal-flickering``: 1 - mean absolute difference of frames / 255. Made for videos that stand still.
    * ``vbench-motion-smoothness-mean``: odd frames rebuilt from the even ones, 1 - mean absolute difference / 255.
      VBench has a network (AMT-S) do it; here the mean of both neighbours stands for it, hence the name.
    * ``vbench-dynamic-degree-dis``: 1 where the fastest 5 % of pixels move far enough in enough steps, else 0. A gate.
      By DIS flow where VBench takes RAFT, and of the frames as they come: show it about 8 a second.
    """

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """One value each; missing where the clip is too short or too small.

        Raises:
            UsageError: Frames are not uint8 RGB.
        """
        check_sample(sample, "vbench")
        frames = sample.frames
        steps = differences(frames)
        flickering: Value = 1 - float(np.mean(steps)) / 255 if steps else Missing("there is one frame only")
        return {
            "vbench-temporal-flickering": flickering,
            "vbench-motion-smoothness-mean": smoothness(frames),
            "vbench-dynamic-degree-dis": _degree(frames),
        }


def smoothness(frames: Frames) -> Value:
    """1 - mean absolute difference / 255 of odd frames to the mean of their neighbours, rounded half to even."""
    errors = [
        np.abs(np.rint((before.astype(np.float32) + after) / 2) - here).mean(dtype=np.float64)
        for before, here, after in zip(frames[::2], frames[1::2], frames[2::2], strict=False)
    ]
    return 1 - float(np.mean(errors)) / 255 if errors else Missing("it needs three frames")


class Degree(NamedTuple):
    """How far a clip moves.

    Attributes:
        lengths: Mean flow of the fastest 5 % of pixels of every step, px.
        threshold: Length from which a step counts, px.
        needed: Steps that must count.
    """

    lengths: list[float]
    threshold: float
    needed: int

    @property
    def moves(self) -> bool:
        """Whether enough steps count."""
        return sum(length > self.threshold for length in self.lengths) >= self.needed


def dynamic_degree(flows: Iterable[NDArray[np.float32]]) -> Degree:
    """Of the flows of a clip's steps, (H, W, 2) each."""
    lengths, least = [], 0
    for flow in flows:
        length = np.hypot(flow[..., 0], flow[..., 1]).ravel()
        count = max(1, int(FASTEST * length.size))
        lengths.append(float(np.partition(length, -count)[-count:].mean()))
        least = min(flow.shape[:2])
    return Degree(lengths, 6 * least / 256, round(4 * (len(lengths) + 1) / 16))


def _degree(frames: Frames) -> Value:
    if min(frames.shape[1:3]) < LEAST_SIDE:
        return Missing(f"optical flow needs {LEAST_SIDE} pixels a side")
    if len(frames) < 2:
        return Missing("there is one frame only")
    model = Dis()
    return float(dynamic_degree(model(one, other)[0] for one, other in pairwise(frames)).moves)
