"""Whether two frames show the same drawing, compression aside.

Anime is drawn on twos and threes, and what was one drawing comes out of an encoder as frames that are not quite
equal. Three things tell a new drawing: a small place that differs clearly (a mouth), all lines shifted a little (a
slow pan), or another brightness as a whole (a fade).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame

TOLERANCE = 24.0
"""Grey levels by which 4 × 4 px may differ, on average, in a held drawing: what x264 leaves at CRF 28."""

_UNEQUAL = 0.5  # what frames that differ at all are apart at least
_SHIFT = 100.0  # levels that a shift of 1 px of the whole picture counts for
_BRIGHTNESS = 40.0  # levels that 1 level of the whole picture counts for
_TILE = 16  # px of a quarter-size picture that share one motion
_FLAT = 4.0  # squared gradient below which a tile says nothing of motion


def is_duplicate(
    previous: SourceFrame, frame: SourceFrame, tolerance: float = TOLERANCE, *, alpha: bool = True
) -> bool:
    """Whether `frame` shows the drawing of `previous`.

    Args:
        previous: Any earlier frame, best the first of the drawing.
        frame: A frame of the same size.
        tolerance: Grey levels; 0 takes only equal frames for duplicates. Half the default suits well coded sources,
            and sees slower pans.
        alpha: Whether the source may have alpha, which only its pictures tell; without, luma is enough.
    """
    if difference(previous.luma(), frame.luma()) > tolerance:
        return False
    if not alpha or previous.image().shape[2] == 3:
        return True
    first, last = (np.ascontiguousarray(image[..., 3]) for image in (previous.image(), frame.image()))
    return difference(first, last) <= tolerance


def difference(one: Image, other: Image) -> float:
    """How surely two lumas (H, W) uint8 are two drawings, in grey levels: that of the 4 × 4 px that differ most.

    A shift and a change of brightness are counted as the levels that `TOLERANCE` takes them for.
    """
    if one is other or (np.array_equal(one[::16], other[::16]) and np.array_equal(one, other)):
        return 0.0
    halves = [_half(luma) for luma in (one, other)]
    local = max(_local(*halves), _UNEQUAL)
    if not _UNEQUAL < local <= TOLERANCE:
        return local
    first, last = (_half(half).astype(np.float32) for half in halves)
    brightness = abs(float(last.mean()) - float(first.mean()))
    return max(local, _SHIFT * 4 * _shift(first, last), _BRIGHTNESS * brightness)


def _half(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape
    size = max(width // 2, 1), max(height // 2, 1)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _local(first: NDArray[np.uint8], last: NDArray[np.uint8]) -> float:
    """Largest difference of 2 × 2 px of two half-size pictures: any 5 × 3 px fill three quarters of such a square."""
    change = cv2.blur(cv2.subtract(last, first, dtype=cv2.CV_16S), (2, 2))
    low, high, _, _ = cv2.minMaxLoc(change)
    return float(max(high, -low))


def _shift(first: NDArray[np.float32], last: NDArray[np.float32]) -> float:
    """Mean length in px of the motion between two pictures, which is a fraction of a pixel (Lucas and Kanade 1981)."""
    height, width = first.shape
    if min(height, width) < _TILE:
        return 0.0
    size = width // _TILE, height // _TILE
    first, last = (image[: size[1] * _TILE, : size[0] * _TILE] for image in (first, last))
    mean = (first + last) / 2
    x, y = cv2.Scharr(mean, cv2.CV_32F, 1, 0, scale=1 / 32), cv2.Scharr(mean, cv2.CV_32F, 0, 1, scale=1 / 32)
    t = last - first

    def over_tiles(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(one * other, size, interpolation=cv2.INTER_AREA))

    xx, yy, xy = over_tiles(x, x) + 1, over_tiles(y, y) + 1, over_tiles(x, y)
    xt, yt = over_tiles(x, t), over_tiles(y, t)
    determinant = xx * yy - xy * xy
    length = np.hypot(yy * xt - xy * yt, xx * yt - xy * xt) / determinant
    weight = (xx + yy - 2) / (xx + yy - 2 + _FLAT)
    total = float(weight.sum())
    return float((length * weight).sum()) / total if total > 1 else 0.0
