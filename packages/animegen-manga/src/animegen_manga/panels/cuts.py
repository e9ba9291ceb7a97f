"""The best straight cut through a part of a page: along a gutter, the edge of a frame, or a shared frame line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animegen._cv2 import cv2
from animegen_manga.panels.cell import Cell, Line

if TYPE_CHECKING:
    from animegen_manga.panels.evidence import Maps

BOTH, ONE, BARE, SHARED = 1.0, 0.85, 0.3, 0.8
"""What a row of a cut is worth: paper between two edges, beside one edge, paper alone; ink of a shared line."""
CLOSED = 0.2
"""Taken from a cut for each end that is no paper: a white bar inside a panel ends at the panel's frame."""


@dataclass(frozen=True)
class Cut:
    """A cut and its worth.

    Attributes:
        score: 0 .. 1.
        before, after: Where the part left of (above) it ends and where the other begins.
        edges: Share of its length with an edge, on either side.
    """

    score: float
    before: Line
    after: Line
    edges: tuple[float, float]


@dataclass
class Ruler:
    """Lengths in pixels of the working picture, all from the short side of the page."""

    short: float
    reach: int

    @property
    def narrowest(self) -> float:
        """Smallest width or height of a panel."""
        return 0.04 * self.short

    @property
    def widest(self) -> float:
        """Widest gutter taken as one; wider ones are left over as blank parts."""
        return 0.08 * self.short

    @property
    def end(self) -> int:
        return max(3, round(0.008 * self.short))


class Probe:
    """Candidate lines of one direction within one cell, sampled pixel by pixel."""

    def __init__(self, maps: Maps, cell: Cell, ruler: Ruler, *, across: bool) -> None:
        self.maps, self.ruler, self.across = maps, ruler, across
        at, slope = maps.lines.T
        low, high = cell.extent(at, slope, across=across)
        usable = high - low >= ruler.narrowest
        self.at, self.slope = at[usable], slope[usable]
        self.height, self.width = maps.paper.shape
        self.low = np.clip(np.ceil(low[usable]), 0, self.height - 1).astype(int)
        self.high = np.clip(np.floor(high[usable]), 0, self.height).astype(int)

    def cuts(self, cell: Cell) -> list[Cut]:
        """All cuts worth comparing."""
        found: list[Cut] = []
        if not len(self.at):
            return found
        rows = np.arange(self.height)
        u = np.rint(self.at[:, None] + self.slope[:, None] * rows).astype(int)
        inside = (rows >= self.low[:, None]) & (rows < self.high[:, None])
        uc = np.clip(u, 0, self.width - 1)
        rise, fall = self.maps.rise[rows, uc] & inside, self.maps.fall[rows, uc] & inside
        gap = self.ruler.reach + 2
        right = self.clear(rows, u + 2, u + 2 + gap)
        left = self.clear(rows, u - 1 - gap, u - 1)
        length = np.maximum(1, inside.sum(1))
        rises = (rise & right).sum(1) / length
        falls = (fall & left).sum(1) / length
        bounds = cell.bounds
        middle = (self.low + self.high) / 2
        at_middle = self.at + self.slope * middle
        starts = [i for i in np.flatnonzero(rises > 0.25)]
        stops = [i for i in np.flatnonzero(falls > 0.25)]
        for i in starts:
            found += self.cut(rows, i, None, u, inside[i], rise[i], None, right[i])
        for i in stops:
            found += self.cut(rows, None, i, u, inside[i], None, fall[i], left[i])
        for i in starts:
            for j in stops:
                width = self.at[j] + self.slope[j] * middle[i] - at_middle[i]
                if not 1.5 <= width <= self.ruler.widest or abs(self.slope[i] - self.slope[j]) > 0.06:
                    continue
                if (rises[i] + falls[j]) < 0.7:
                    continue
                both = inside[i] & inside[j]
                if both.sum() < self.ruler.narrowest or (u[j] - u[i])[both].min() < 1:
                    continue
                clear = self.clear(rows, u[i] + 2, u[j] - 1)
                found += self.cut(rows, i, j, u, both, rise[i], fall[j], clear)
        del bounds
        return found

    def clear(self, rows: Any, start: Any, stop: Any) -> NDArray[np.bool_]:
        """Whether columns start .. stop of each row are paper, but for a tenth."""
        start = np.clip(start, 0, self.width)
        stop = np.clip(np.maximum(stop, start + 1), 0, self.width)
        ink = self.maps.ink[rows, stop] - self.maps.ink[rows, start]
        return np.asarray(ink <= 0.1 * (stop - start))

    def cut(
        self,
        rows: Any,
        i: Any,
        j: Any,
        u: Any,
        inside: Any,
        rise: Any,
        fall: Any,
        clear: Any,
    ) -> list[Cut]:
        which = np.flatnonzero(inside)
        if len(which) < self.ruler.narrowest:
            return []
        nothing = np.zeros(self.height, bool)
        first = (rise if rise is not None else nothing)[which]
        second = (fall if fall is not None else nothing)[which]
        paper = clear[which]
        worth = np.where(first & second, BOTH, np.where(first | second, ONE, BARE)) * paper
        score = float(worth.mean())
        n = self.ruler.end
        for end, edge in ((slice(None, n), which[0] <= 2), (slice(-n, None), which[-1] >= self.height - 3)):
            if not edge and paper[end].mean() < 0.5:
                score -= CLOSED
        before = Line(self.at[i], self.slope[i], self.across) if i is not None else None
        after = Line(self.at[j], self.slope[j], self.across) if j is not None else None
        edges = (float((first & paper).mean()), float((second & paper).mean()))
        if before is None:
            assert after is not None
            before = after.moved(-1)
        if after is None:
            after = before.moved(1)
        return [Cut(score, before, after, edges)]


def ink_share(cell: Cell, paper: NDArray[np.bool_]) -> float:
    """Share of the cell's pixels that are not background."""
    x0, y0, x1, y1 = (int(v) for v in cell.bounds)
    view = paper[max(0, y0) : y1 + 1, max(0, x0) : x1 + 1]
    if not view.size:
        return 0.0
    mask = np.zeros(view.shape, np.uint8)
    points = np.rint(cell.points - [max(0, x0), max(0, y0)]).astype(np.int32)
    cv2.fillConvexPoly(mask, points, 1)
    return float((~view & (mask > 0)).sum() / max(1, mask.sum()))
