"""Flat filling: what lay behind a balloon on plain paper is plain paper, without a generator's dirt in it.

Each hole is judged by the ring around it. A ring of one colour, or of one slope of colour, fills its hole with
just that. Any other ring is drawing, which nobody can redraw without a model: the tones of its rim, thin strokes
left out, are then continued into the hole with clean edges between them (`flat_pieces`), or joined smoothly where
the rim has no clean edges (`flat_membrane`), or filled in Telea's way, which keeps strokes but smears them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from animegen.builtin.flat_membrane import membrane
from animegen.builtin.flat_pieces import pieces
from animegen.builtin.telea import PAPER, march

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.builtin.plugin import FlatOptions
    from animegen.media import Image, Mask
    from animegen.stages import Context

    Colours = NDArray[Any]

_KINDS = {
    "paper": "as white paper, for other holes hide the rim",
    "telea": "with telea",
    "pieces": "with pieces of the rim's tones",
    "membrane": "with a membrane",
}
_AROUND = 12
"""Pixels around a hole's box that are looked at besides the ring: enough to see past a thick stroke."""


class Flat:
    """Fill flat holes flat, others smoothly (or with Telea), each hole on its own."""

    def __init__(self, options: FlatOptions, context: Context) -> None:
        self.options = options
        self.context = context

    def __call__(self, image: Image, mask: Mask) -> Image:
        """(H, W, 3) uint8 RGB with the True pixels of an (H, W) bool mask filled; all others are equal.

        Pixels beyond the picture count for nothing. A picture masked as a whole becomes white paper.
        """
        out = image.copy(order="C")
        if not mask.any():
            return out
        if mask.all():
            self.context.warn("The whole picture is masked, so nothing is known to fill it from: white paper.")
            out[...] = PAPER
            return out
        ring_width = self.options.ring
        busy: Counter[str] = Counter()
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        margin = ring_width + _AROUND
        for number in range(1, count):
            x, y, width, height = (int(v) for v in stats[number, :4])
            near = np.s_[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
            hole = labels[near] == number
            filled = self._plain(image[near], hole, mask[near])
            if filled is None:
                kind, filled = self._busy(image[near], hole, mask[near])
                busy[kind] += 1
            out[near][hole] = filled[hole]
        if busy:
            kinds = ", ".join(f"{number} {_KINDS[kind]}" for kind, number in sorted(busy.items()))
            self.context.warn(
                f"{busy.total()} of {count - 1} holes lie on drawing, not on flat paper: filled from the rim "
                f"({kinds}); an inpainter with weights would redraw what was behind."
            )
        return out

    def _plain(self, image: Image, hole: Mask, mask: Mask) -> Image | None:
        """The picture with its hole filled by one colour or one slope, or None where the ring is neither."""
        size = 2 * self.options.ring + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        ring = cv2.dilate(hole.astype(np.uint8), disc).astype(bool) & ~mask
        known = image[ring].astype(np.float32)
        if not len(known):
            return None
        inside = _fits(known, np.median(known, axis=0), self.options.tolerance)
        if inside.mean() >= self.options.share:
            middle: Colours = np.asarray(np.median(known[inside], axis=0))
            plain: Image = np.full_like(image, np.rint(middle).astype(np.uint8))
            return plain
        points = np.argwhere(ring)
        slope, level = _plane(points, known, self.options.tolerance)
        if level.mean() < self.options.share:
            return None
        rows, columns = np.mgrid[: hole.shape[0], : hole.shape[1]].astype(np.float32)
        surface = rows[..., None] * slope[0] + columns[..., None] * slope[1] + slope[2]
        low, high = known[level].min(0), known[level].max(0)  # a slope is not carried on beyond its rim
        sloped: Image = np.rint(np.clip(surface, low, high)).astype(np.uint8)
        return sloped

    def _busy(self, image: Image, hole: Mask, mask: Mask) -> tuple[str, Image]:
        """How a hole on drawing was filled, and the picture with it filled."""
        if mask.all():  # other holes hide all there is around this one
            return "paper", np.full_like(image, PAPER)
        if self.options.otherwise == "telea":
            return "telea", march(image, mask)
        clean = _without_strokes(image, mask)
        filled = pieces(image, clean, hole, ~mask) if self.options.otherwise == "pieces" else None
        if filled is not None:
            return "pieces", filled
        return "membrane", membrane(clean, hole, ~mask)


def _fits(known: Colours, model: Colours, tolerance: float) -> NDArray[np.bool_]:
    """Which colours differ from the model by no more than the tolerance in any channel."""
    inside: NDArray[np.bool_] = np.abs(known - model).max(axis=1) <= tolerance
    return inside


def _plane(points: NDArray[np.intp], known: Colours, tolerance: float) -> tuple[Colours, NDArray[np.bool_]]:
    """Rows (per y, per x, constant) of the plane most of the colours lie on, and which of them do.

    Least absolute deviations by reweighting: strokes that cross the ring must not tilt the plane.
    """
    design = np.column_stack([points, np.ones(len(points))]).astype(np.float32)
    weight = np.ones((len(points), 1), np.float32)
    slope = np.zeros((3, 3), np.float32)
    for _ in range(8):
        slope = np.linalg.lstsq(design * weight, known * weight, rcond=None)[0]
        error = np.abs(known - design @ slope).max(axis=1, keepdims=True)
        weight = 1 / np.sqrt(np.maximum(error, 1.0))
    return slope, _fits(known, design @ slope, tolerance)


def _without_strokes(image: Image, mask: Mask, size: int = 19) -> Image:
    """The picture with strokes taken out of the rims of its holes: a median of what is known within `size`.

    Blurred a little first, for a median of screentone is either ink or paper.
    """
    known = ~mask
    weight = np.maximum(cv2.GaussianBlur(known.astype(np.float32), (0, 0), 1.2), 1e-6)[..., None]
    smooth = cv2.GaussianBlur(np.where(known[..., None], image, 0).astype(np.float32), (0, 0), 1.2) / weight
    rim = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & known
    out = image.copy()
    reach = size // 2
    padded = np.pad(smooth, ((reach, reach), (reach, reach), (0, 0)))
    padded[~np.pad(known, reach)] = np.nan
    ys, xs = np.nonzero(rim)
    offsets = np.arange(0, size, 2)  # every other pixel: the blur has joined neighbours
    window = padded[ys[:, None, None] + offsets[None, :, None], xs[:, None, None] + offsets[None, None, :]]
    ranked = np.sort(window.reshape(len(ys), offsets.size**2, 3), axis=1)  # unknown ones come last
    middle = np.maximum(np.count_nonzero(~np.isnan(ranked[..., :1]), axis=1) - 1, 0) // 2
    median = np.take_along_axis(ranked, middle[:, None], axis=1)[:, 0]
    out[rim] = np.rint(np.where(np.isnan(median), image[rim], median)).astype(np.uint8)
    return out
