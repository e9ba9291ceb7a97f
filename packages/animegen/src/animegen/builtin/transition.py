"""Whether a clip moves from one panel to the other, or only mixes them, jumps or stands still.

No single one of these is safe: a cut has clean lines, a dissolve has even steps, a clip made of warped ghosts moves.
They are gates and diagnostics to be read together, and against what real clips have.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen._cv2 import cv2
from animegen.builtin.flat_membrane import smoothest
from animegen.builtin.lines import line_map, luma
from animegen.measuring import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Frames, Image, Mask
    from animegen.stages import Context

FASTEST = 0.05
"""Share of the pixels that move most, whose motion is that of the drawing: the rest is paper."""
PALETTE_LEVELS = 24
"""Grey levels in a channel within which a colour counts as one of the panels'."""
COARSE = 8
"""Side of the cells in which the drawing's features are averaged, px."""


class Transition:
    """What a dissolve, a cut, a freeze and a ghost give away.

    * ``blend-residual`` (each frame): least share of the change that no mixture of the panels explains,
      min over a in [0, 1] of |f - (1 - a) p0 - a p1|² / |p1 - p0|². 0 in a dissolve, a cut and a freeze.
    * ``ghost-ratio``: line pixels in the clip's middle third over the mean of the panels'. Doubled lines raise it.
    * ``flow-travel``: length of the way of the fastest 5 % of pixels, step by step, over the length of the direct
      one, by OpenCV's DIS flow. Near 0 where nothing moves.
    * ``largest-step-share``: largest step over the sum of all, by mean absolute difference. 1 is a cut.
    * ``path-over-chord``: way over direct distance of blurred, normalised pictures. 1 is a dissolve.
    * ``off-palette`` (each frame): percent of pixels whose colour neither panel has; for flat colours only.

    What the sample ignores of either panel (a balloon, which may have been removed) counts in no picture, whatever
    stands there: it is no change of the drawing. Of colours, each panel has those outside what is ignored of itself.
    """

    NAMES = (
        "blend-residual",
        "ghost-ratio",
        "flow-travel",
        "largest-step-share",
        "path-over-chord",
        "off-palette",
    )

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """A value for each of `NAMES`; missing where there are no panels, they are equal, or nothing of them counts."""
        frames, panels, ignored = sample.frames, sample.panels, sample.ignored
        if panels is None:
            return dict.fromkeys(self.NAMES, Missing("there are no panels"))
        counts: Mask | None = None
        if ignored is not None and ignored.any():
            counts = np.logical_not(ignored.any(axis=0))
        if counts is not None and not counts.any():
            return dict.fromkeys(self.NAMES, Missing("all of the picture is ignored"))
        steps = [_difference(one, other, counts) for one, other in pairwise(frames)]
        shown, ends = (clip if counts is None else without(clip, counts) for clip in (frames, panels))
        return {
            "blend-residual": blend_residuals(frames, panels, counts),
            "ghost-ratio": ghost_ratio(shown, ends, counts),
            "flow-travel": flow_travel(shown, ends, counts),
            "largest-step-share": max(steps) / sum(steps) if sum(steps) else Missing("nothing changes"),
            "path-over-chord": path_over_chord(shown, counts),
            "off-palette": off_palette(frames, panels, ignored),
        }


def without(pictures: Frames, counts: Mask) -> Frames:
    """Pictures with everything that does not count made of what surrounds it, as smooth as it can be.

    So nothing of it reaches the pixels that count, by a blur or a flow, and its rim is no line.
    """
    filled = pictures.copy()
    _, holes, boxes, _ = cv2.connectedComponentsWithStats((~counts).astype(np.uint8))
    for number, (x, y, width, height, _) in enumerate(boxes[1:], start=1):
        part = np.s_[max(0, y - 1) : y + height + 1, max(0, x - 1) : x + width + 1]
        hole = holes[part] == number
        for picture in filled:
            smooth = smoothest(picture[part], counts[part])
            picture[part][hole] = np.rint(smooth[hole]).clip(0, 255)
    return filled


def blend_residuals(frames: Frames, panels: Frames, counts: Mask | None = None) -> list[float] | Missing:
    """Of each frame, over the pixels that count, see `Transition`."""
    at = ... if counts is None else counts
    start = panels[0][at].astype(np.float64)
    way = panels[1][at] - start
    chord = float((way * way).sum())
    if not chord:
        return Missing("both panels are the same")
    residuals = []
    for frame in frames:
        moved = frame[at] - start
        part = float(np.clip((moved * way).sum() / chord, 0, 1))
        residuals.append(float(((moved - part * way) ** 2).sum() / chord))
    return residuals


def ghost_ratio(frames: Frames, panels: Frames, counts: Mask | None = None) -> Value:
    """Line pixels of the middle third, see `Transition`."""
    at = ... if counts is None else counts
    expected = np.mean([line_map(luma(panel))[at].sum() for panel in panels])
    if not expected:
        return Missing("neither panel has a line")
    third = len(frames) // 3
    middle = frames[third : len(frames) - third]
    return float(np.mean([line_map(luma(frame))[at].sum() for frame in middle]) / expected)


def flow_travel(frames: Frames, panels: Frames, counts: Mask | None = None) -> Value:
    """Length of the way of the fastest pixels among those that count, see `Transition`."""
    if min(frames.shape[1:3]) < 16:
        return Missing("optical flow needs 16 pixels a side")
    direct = _speed(panels[0], panels[1], counts)
    if direct < 0.1:
        return Missing("nothing moves between the panels")
    return sum(_speed(one, other, counts) for one, other in pairwise(frames)) / direct


def path_over_chord(frames: Frames, counts: Mask | None = None) -> Value:
    """Way over direct distance of a clip's pictures, see `Transition`."""
    points = [_coarse(frame, counts) for frame in frames]
    chord = float(np.linalg.norm(points[-1] - points[0]))
    if not chord:
        return Missing("the clip ends as it begins")
    return sum(float(np.linalg.norm(b - a)) for a, b in pairwise(points)) / chord


def off_palette(frames: Frames, panels: Frames, ignored: Mask | None = None) -> list[float]:
    """Percent of the pixels of each frame, see `Transition`.

    Colours are compared in cells of `PALETTE_LEVELS` levels, and a colour counts as known if a neighbouring cell does.
    """
    own, at = (..., ...) if ignored is None else (~ignored, ~ignored.any(axis=0))
    cells = -(-256 // PALETTE_LEVELS)
    known = np.zeros((cells + 2,) * 3, np.uint8)
    known[tuple((panels[own] // PALETTE_LEVELS + 1).reshape(-1, 3).T)] = 1
    near = np.zeros_like(known)
    for shift in np.ndindex(3, 3, 3):
        near[1:-1, 1:-1, 1:-1] |= known[tuple(slice(s, s + cells) for s in shift)]
    shares = []
    for frame in frames:
        found = near[tuple((frame[at] // PALETTE_LEVELS + 1).reshape(-1, 3).T)]
        shares.append(100 * float(1 - found.mean()))
    return shares


def _difference(one: Image, other: Image, counts: Mask | None) -> float:
    """Mean absolute difference of what counts, over the whole picture."""
    mask = None if counts is None else counts.astype(np.uint8)
    return float(cv2.norm(one, other, cv2.NORM_L1, mask)) / one.size


def _speed(one: Image, other: Image, counts: Mask | None) -> float:
    """Mean length of the flow of the fastest pixels among those that count, px."""
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (one, other)]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    lengths = np.hypot(flow[..., 0], flow[..., 1])[... if counts is None else counts].ravel()
    count = max(1, round(FASTEST * lengths.size))
    return float(np.partition(lengths, -count)[-count:].mean())


def _coarse(frame: Image, counts: Mask | None) -> NDArray[np.float32]:
    """A picture's unit vector: where it is darker than around, in cells; blur and contrast change it little."""
    grey = luma(frame)
    detail = cv2.GaussianBlur(grey, (0, 0), COARSE) - cv2.GaussianBlur(grey, (0, 0), COARSE / 4)
    if counts is not None:
        detail[~counts] = 0
    height, width = (max(1, side // COARSE) for side in grey.shape)
    cells = cv2.resize(detail, (width, height), interpolation=cv2.INTER_AREA).ravel()
    length = float(np.linalg.norm(cells))
    return np.asarray(cells / length if length else cells)
