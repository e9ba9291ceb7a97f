"""Where one shot ends and the next begins.

The question is not whether much has changed, but whether what is seen has come from somewhere: a fast pan changes
every pixel and is no cut. So each block of a small picture is looked for in the other one, a third of the picture far,
and the score is how much of the drawing is found nowhere, in either direction.

A fade, a dissolve, a flash of lightning are no cuts: brightness and contrast are brought to the same level first. A
cut to black or from black is one, and so are both sides of a frame that is blank (a flash of one white frame): there
is nothing in it that a motion could lead to, so the drawings on either side are held, as long as they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame

THRESHOLD = 0.47
"""Score from which on a frame begins a new shot. Measured with ``benchmarks/cuts.py``."""

_LONG, _SHORT = 64, 36  # px of the small picture: it keeps what a shot looks like and no line
_BLOCK = 8
_NOISE = 9.0  # variance below which a block says nothing
_ENOUGH = 100.0  # variance from which on all blocks count alike: one sharp edge is not the whole picture
_LOST = 0.35, 0.75  # share of a block's variance that is missing in its best match: found; nowhere to be found
_LEAST = 8.0, 18.0  # change, grey levels, that is never a cut; that may well be one
_GAIN = 0.45, 2.2  # change of contrast from one frame to the next in a quick fade


class CutDetector:
    """Scores cuts, frame by frame; keeps nothing but one small picture.

    Args:
        threshold: Score in (0, 1] from which on it is a cut.

    Raises:
        UsageError: The threshold is out of range.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        if not 0 < threshold <= 1:
            raise UsageError(
                f"the threshold of cuts is {threshold}; it takes more than 0, at most 1.",
                hint=f"less finds more cuts; the default is {THRESHOLD}",
            )
        self.threshold = threshold
        self._before: NDArray[np.float32] | None = None

    def __call__(self, frame: SourceFrame) -> float:
        """How surely a cut lies before `frame`, in [0, 1]; frames come in order, one without one before it has 0."""
        before, self._before = self._before, _small(frame.luma())
        return 0.0 if before is None else cut_score(before, self._before)


class GivenCuts:
    """Cuts that somebody has listed.

    Args:
        indices: Numbers of the frames that begin a shot, from 0.

    Raises:
        UsageError: A number is negative.
    """

    threshold = 0.5

    def __init__(self, indices: Iterable[int]) -> None:
        self.indices = frozenset(indices)
        if wrong := [index for index in self.indices if index < 0]:
            raise UsageError(f"a cut is listed before frame {min(wrong)}; frames are counted from 0.")

    def __call__(self, frame: SourceFrame) -> float:
        """1 where a cut is listed, else 0."""
        return float(frame.index in self.indices)


def _small(luma: Image) -> NDArray[np.float32]:
    size = (_LONG, _SHORT) if luma.shape[1] >= luma.shape[0] else (_SHORT, _LONG)
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32)


def cut_score(first: NDArray[np.float32], last: NDArray[np.float32]) -> float:
    """Share in [0, 1] of two small pictures (h, w) that has no counterpart in the other."""
    change = float(np.sqrt(np.mean((first - last) ** 2)))
    may_be = min(max((change - _LEAST[0]) / (_LEAST[1] - _LEAST[0]), 0.0), 1.0)
    if not may_be:
        return 0.0
    gain = min(max((float(last.std()) + 2) / (float(first.std()) + 2), _GAIN[0]), _GAIN[1]) ** 0.5
    level = [(first - first.mean()) * np.float32(gain), (last - last.mean()) / np.float32(gain)]
    lost, drawn = (sum(values) for values in zip(_lost(*level), _lost(*level[::-1]), strict=True))
    return may_be * lost / drawn


def _lost(picture: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[float, float]:
    """How much is drawn in a picture (h, w) that is not in the other, and how much is drawn in it."""
    height, width = picture.shape
    reach_x, reach_y = width * 3 // 8, height // 3
    top, left = height % _BLOCK // 2, width % _BLOCK // 2
    rows, columns = height // _BLOCK, width // _BLOCK
    grid = picture[top : top + rows * _BLOCK, left : left + columns * _BLOCK]
    variances = grid.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(rows * columns, -1).var(axis=1)
    lost = drawn = 0.0
    for index, variance in enumerate(variances.tolist()):
        weight = min(variance, _ENOUGH)
        drawn += weight + _NOISE
        if variance < 1:  # blank, so it is found in anything
            continue
        y, x = top + index // columns * _BLOCK, left + index % columns * _BLOCK
        window = other[max(0, y - reach_y) : y + _BLOCK + reach_y, max(0, x - reach_x) : x + _BLOCK + reach_x]
        match = cv2.matchTemplate(window, picture[y : y + _BLOCK, x : x + _BLOCK], cv2.TM_SQDIFF)
        share = (cv2.minMaxLoc(match)[0] / _BLOCK**2 / (variance + _NOISE) - _LOST[0]) / (_LOST[1] - _LOST[0])
        lost += weight * min(max(share, 0.0), 1.0)
    return lost, drawn
