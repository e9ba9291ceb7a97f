"""AnimeInterp's segmentation as it is described, one region after another over whole pictures: the yardstick.

Lines, trapped-ball fills, merging, thinning and order give the same regions as `animegen_animeinterp.segmentation`,
which is measured against it (`benchmarks/animeinterp.py`) and compared with it (the plugin's tests of real pictures).
Pictures are (H, W, 3) uint8 BGR, as OpenCV reads them; labels (H, W) int64.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Picture = NDArray[np.uint8]
Labels = NDArray[np.int64]

STYLES = {"japan": (10, 10, 10, 2), "disney": (30, 40, 30, 1)}
"""Diameter and both sigmas of the bilateral filter, and the lower threshold."""
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
MOST_BALLS, MOST_FLOODS, MOST_MERGES, MOST_THINNING = 1000, 20000, 10, 100


def segment(picture: Picture, style: str = "japan") -> Labels:
    """The regions of a picture, 0 the smallest."""
    binary = np.where(lines(picture, style) > 220, 255, 0).astype(np.uint8)
    return ordered(thinned(merged(fill_map(binary), picture)))


def lines(picture: Picture, style: str = "japan") -> Picture:
    """The line image: 255 is paper."""
    diameter, colour, space, low = STYLES[style]
    edges = cv2.Laplacian(cv2.bilateralFilter(picture, diameter, colour, space), cv2.CV_32F, ksize=5)
    if edges.max() <= 0:
        return np.full(picture.shape[:2], 255, np.uint8)
    edges = edges * (255 / edges.max())
    parts, count = ndimage.label(edges > low)
    strong = ndimage.sum_labels(edges > 20, parts, np.arange(count + 1)) > 0
    strong[0] = False
    edges[~strong[parts]] = 0
    return np.clip(255 - (edges * 20).max(2), 0, 255).astype(np.uint8)


def fill_map(binary: Picture) -> Labels:
    """Fills of what is 255: 1, 2, ... in the order in which they are made; 0 is line."""
    unfilled = binary.copy()
    result = np.zeros(binary.shape, np.int64)
    count = 0
    for radius in (3, 2, 1, 0):
        fills = balls(unfilled, radius) if radius else floods(unfilled)
        if radius == 3 and fills:
            largest = max(fill.sum() for fill in fills)
            fills = [fill for fill in fills if fill.sum() >= largest]
        for fill in fills:
            count += 1
            result[fill] = count
            unfilled[fill] = 0
    return result


def balls(unfilled: Picture, radius: int) -> list[NDArray[np.bool_]]:
    """Fills of a ball that is trapped between lines."""
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    unfilled = unfilled.copy()
    fills = []
    for _ in range(MOST_BALLS):
        seed = first_white(cv2.erode(unfilled, ball))
        if seed is None:
            break
        outside = cv2.dilate(flooded(cv2.bitwise_not(unfilled), seed), ball)
        fill = cv2.erode(flooded(outside, seed), ball) == 0
        fills.append(fill)
        unfilled[fill] = 0
    return fills


def floods(unfilled: Picture) -> list[NDArray[np.bool_]]:
    """What is left, by 4-connected parts."""
    unfilled = unfilled.copy()
    fills = []
    for _ in range(MOST_FLOODS):
        seed = first_white(unfilled)
        if seed is None:
            break
        fill = flooded(cv2.bitwise_not(unfilled), seed) == 0
        fills.append(fill)
        unfilled[fill] = 0
    return fills


def first_white(picture: Picture) -> tuple[int, int] | None:
    """x and y of the first pixel in row order that is not 0."""
    place = int(np.argmax(picture > 0))
    y, x = divmod(place, picture.shape[1])
    return (x, y) if picture[y, x] else None


def flooded(walls: Picture, seed: tuple[int, int]) -> Picture:
    """255, with 0 where a flood from `seed` comes that `walls` (not 0) stop."""
    result = np.full(walls.shape, 255, np.uint8)
    mask = cv2.copyMakeBorder(walls, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    mask[mask > 0] = 255
    cv2.floodFill(result, mask, seed, 0, 0, 0, 4)
    return result


def merged(fills: Labels, picture: Picture) -> Labels:
    """Small regions given to the neighbour that is most like them."""
    labels, line = fills.copy(), fills == 0
    before = 0
    for _ in range(MOST_MERGES):
        labels[line] = 0
        names = np.unique(labels)
        if len(names) == before:
            break
        before = len(names)
        merge_once(labels, picture, [int(name) for name in names if name])
    return labels


def merge_once(labels: Labels, picture: Picture, names: list[int]) -> None:
    """One round, in place."""
    start = labels.copy()
    histograms = {name: histogram(picture[start == name]) for name in names}
    for name in names:
        here = start == name
        area = int(here.sum())
        if area >= 500:
            continue
        mask = here.astype(np.uint8)
        ring = (cv2.dilate(mask, CROSS) > 0) & ~here
        near, counts = np.unique(labels[ring], return_counts=True)
        counts, near = counts[near > 0], near[near > 0]
        if not len(near):
            if area < 5:
                labels[here] = 0
            continue
        scores = [float(np.minimum(histograms[name], histograms[int(other)]).sum()) for other in near]
        best = int(np.argmax(scores))
        if goes(mask, area, len(near), int(counts[best]), scores[-1]):
            labels[here] = near[best]


def goes(mask: Picture, area: int, near: int, border: int, score: float) -> bool:
    """Whether a region of `area` with `near` neighbours is given to one that it touches at `border` pixels."""
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    outline = cv2.approxPolyDP(contours[0], 0.02 * cv2.arcLength(contours[0], True), True)
    if len(outline) == 1 or area == 1:
        return True
    if (area < 300 and near == 1) or (near == 1 and border > 2) or area < 50:
        return True
    return (score > 0.2 and area < 150 and border > 1) or (score > 0.25 and area < 250 and border > 8)


def histogram(colours: Picture) -> NDArray[Any]:
    """25 bins of each channel between its least and greatest value, of sum 1."""
    bins = np.concatenate([np.histogram(channel, 25)[0] for channel in colours.T])
    return bins / bins.sum()


def thinned(labels: Labels) -> Labels:
    """Lines given to the regions beside them, from both sides."""
    labels = labels.copy()
    height, width = labels.shape
    steps = ((-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1))
    for _ in range(MOST_THINNING):
        ring = (cv2.dilate((labels > 0).astype(np.uint8), CROSS) > 0) & (labels == 0)
        found = []
        for y, x in zip(*map(np.ndarray.tolist, np.nonzero(ring)), strict=True):
            for across, down in steps:
                column, row = x + across, y + down
                if (across < 0 and column <= 0) or (down < 0 and row <= 0) or column >= width or row >= height:
                    continue
                if labels[row, column]:
                    found.append((y, x, labels[row, column]))
                    break
        if not found:
            break
        for y, x, name in found:
            labels[y, x] = name
    return labels


def ordered(labels: Labels) -> Labels:
    """The same regions, called 0, 1, ... from the smallest on.

    Of equal ones the first filled comes first. As published it is numpy's default, whose order is the processor's.
    """
    names, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(names))
    return rank[places].reshape(labels.shape)
