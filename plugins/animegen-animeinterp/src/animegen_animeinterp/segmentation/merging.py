"""Small regions given to the neighbour that is most like them.

Within a round regions are taken one by one, and each sees what became of those before it. But only names change in a
round: which region a pixel was of when it began, and so who borders on whom, how far, and how alike they are, is worked
out for all at once; then one pass over the small regions decides, by names alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen_animeinterp.regions import boxes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image

MOST_ROUNDS = 10
SMALL = 500
"""Regions of this many pixels and more stay."""
BINS = 25
CHANNELS = 3
SLACK = 0.02
"""Of an outline's length: how far its polygon may be from it."""


def merge(labels: NDArray[np.int32], image: Image) -> NDArray[np.int32]:
    """`labels` with small regions merged, in at most `MOST_ROUNDS` rounds; 0 is line and stays so.

    Args:
        labels: (H, W), 0 and names of regions.
        image: (H, W, 3) uint8, whose colours are compared.
    """
    colours = _Colours.of(labels, image)
    outlines = _Outlines(labels, colours.count)
    before = -1
    for _ in range(MOST_ROUNDS):
        areas = colours.areas.copy()
        areas[0] = 0
        if before == (before := int(np.count_nonzero(areas))):
            break
        now = _one_round(labels, areas, colours, outlines)
        changed = np.flatnonzero(now != np.arange(len(now)))
        if len(changed):
            labels = now[labels]
            colours.rename(now)
            outlines.rename(now, changed)
    return labels


@dataclass
class _Colours:
    """How many pixels of each region have each level of each channel, where there are any.

    Attributes:
        count: Names there are, 0 with them.
        region, slot, level, pixels: Of each entry; the slot is region × 3 + channel. A region that others were given to
            has their entries beside its own.
    """

    count: int
    region: NDArray[np.int64]
    slot: NDArray[np.int64]
    level: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[np.int32], image: Image) -> _Colours:
        count = int(labels.max(initial=0)) + 1
        start = labels.astype(np.int64) * 256
        found = []
        for channel in range(CHANNELS):
            pixels = np.bincount((start + image[..., channel]).ravel(), minlength=count * 256)
            key = np.flatnonzero(pixels)
            region, level = np.divmod(key, 256)
            found.append((region, region * CHANNELS + channel, level, pixels[key]))
        return cls(count, *(np.concatenate(parts) for parts in zip(*found, strict=True)))

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each region."""
        total = np.bincount(self.region, self.pixels, minlength=self.count)
        return total.astype(np.int64) // CHANNELS

    def rename(self, names: NDArray[np.int32]) -> None:
        """Each region's pixels become those of `names`."""
        self.slot += (names[self.region] - self.region) * CHANNELS
        self.region = names[self.region].astype(np.int64)

    def histograms(self, areas: NDArray[np.int64]) -> NDArray[np.float64]:
        """(regions, 75): 25 bins of each channel between the region's own least and greatest level, of sum 1.

        To the bit those of `numpy.histogram`, whose edges may miss a whole level by a rounding.
        """
        slots = self.count * CHANNELS
        low, high = np.full(slots, 255.0), np.zeros(slots)
        np.minimum.at(low, self.slot, self.level.astype(np.float64))
        np.maximum.at(high, self.slot, self.level.astype(np.float64))
        flat = high <= low
        step = np.where(flat, 1.0, (high - low) / BINS)
        edges = np.arange(BINS + 1) * step[:, None] + low[:, None]
        edges[:, -1] = high
        slot, level = self.slot, self.level
        index = ((level - low[slot]) * BINS // np.maximum((high - low)[slot], 1)).astype(np.int64)
        np.minimum(index, BINS - 1, out=index)
        index -= level < edges[slot, index]
        index += (level >= edges[slot, index + 1]) & (index < BINS - 1)
        index[flat[slot]] = BINS // 2
        bins = np.bincount(slot * BINS + index, self.pixels, minlength=slots * BINS)
        return bins.reshape(self.count, -1) / np.maximum(areas * CHANNELS, 1)[:, None]


class _Outlines:
    """Whether a region's outline is hardly more than a point for its length; found out once for each."""

    def __init__(self, labels: NDArray[np.int32], count: int) -> None:
        self._boxes = boxes_of(labels, count)
        self._known: dict[int, bool] = {}

    def rename(self, names: NDArray[np.int32], changed: NDArray[np.int64]) -> None:
        """Those of `changed` are parts of others now."""
        for side, extreme in enumerate((np.minimum, np.maximum) * 2):
            extreme.at(self._boxes[:, side], names[changed], self._boxes[changed, side])
        for name in {*changed.tolist(), *names[changed].tolist()}:
            self._known.pop(name, None)

    def is_point(self, name: int, labels: NDArray[np.int32]) -> bool:
        """Whether the polygon of the first outer contour has a single corner."""
        if name not in self._known:
            top, bottom, left, right = self._boxes[name].tolist()
            mask = (labels[top : bottom + 1, left : right + 1] == name).view(np.uint8)
            contour = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0]
            outline = cv2.approxPolyDP(contour, SLACK * cv2.arcLength(contour, True), True)
            self._known[name] = len(outline) == 1
        return self._known[name]


def _one_round(
    labels: NDArray[np.int32], areas: NDArray[np.int64], colours: _Colours, outlines: _Outlines
) -> NDArray[np.int32]:
    """What each region is called after a round."""
    small = (areas > 0) & (areas < SMALL)
    names = np.arange(len(areas), dtype=np.int32)
    if not small.any():
        return names
    histograms = colours.histograms(areas)
    one, other, border = _borders(labels, small)
    alike = dict(zip(zip(one.tolist(), other.tolist(), strict=True), _likeness(histograms, one, other), strict=True))
    now = names.tolist()
    bounds = np.searchsorted(one, np.arange(len(areas) + 1)).tolist()
    others, borders, sizes = other.tolist(), border.tolist(), areas.tolist()
    for name in np.flatnonzero(small).tolist():
        near: dict[int, int] = {}
        for at in range(bounds[name], bounds[name + 1]):
            called = now[others[at]]
            if called:
                near[called] = near.get(called, 0) + borders[at]
        area = sizes[name]
        if not near:
            if area < 5:
                now[name] = 0
            continue
        best, most, score = 0, -1.0, 0.0
        for called in sorted(near):
            key = (name, called)
            if key not in alike:
                alike[key] = float(np.minimum(histograms[name], histograms[called]).sum())
            score = alike[key]
            if score > most:
                best, most = called, score
        # The score that is asked for is the last neighbour's, as published, not the best one's.
        if _goes(area, len(near), near[best], score) or outlines.is_point(name, labels):
            now[name] = best
    return np.array(now, np.int32)


def _goes(area: int, near: int, border: int, score: float) -> bool:
    """Whether a region with `near` neighbours is given to the one that it touches at `border` pixels."""
    if area < 50 or (near == 1 and (area < 300 or border > 2)):
        return True
    return (score > 0.2 and area < 150 and border > 1) or (score > 0.25 and area < 250 and border > 8)


def _borders(
    labels: NDArray[np.int32], small: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(small region, other region, pixels of the other that are 4-adjacent to it), sorted; lines are no region."""
    height, width = labels.shape
    padded = np.zeros((height + 2, width + 2), np.int32)
    padded[1:-1, 1:-1] = labels
    flat, wide = padded.ravel(), width + 2
    places = np.flatnonzero(small[flat])
    names = flat[places]
    touched = []
    for step in (-1, 1, -wide, wide):
        others = flat[places + step]
        outside = (others > 0) & (others != names)
        touched.append(names[outside].astype(np.int64) * flat.size + places[outside] + step)
    one, pixel = np.divmod(np.unique(np.concatenate(touched)), flat.size)  # each once, from however many sides
    found, border = np.unique(one * len(small) + flat[pixel], return_counts=True)
    return found // len(small), found % len(small), border


def _likeness(histograms: NDArray[np.float64], one: NDArray[np.int64], other: NDArray[np.int64]) -> list[float]:
    """Intersection of the histograms of each pair, a few thousand at a time."""
    parts = [
        np.minimum(histograms[one[at : at + 4096]], histograms[other[at : at + 4096]]).sum(1)
        for at in range(0, len(one), 4096)
    ]
    return np.concatenate(parts).tolist() if parts else []
