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

BOTH, ONE, STROKE, BARE = 1.0, 0.85, 0.75, 0.3
"""What a row of a cut is worth: paper between two edges, beside one edge, a drawn line, paper alone."""
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
    paper: float = 0.0
    stroke: float = 0.0
    both: float = 0.0
    clean: float = 0.0

    cover: float = 0.0
    anchored: bool = False
    margin: float = 0.0

    @property
    def rank(self) -> float:
        return self.score + self.cover

    @property
    def splits(self) -> bool:
        return (
            (min(self.edges) == 0 and self.cover >= 0.69 and self.score >= 0.62)
            or (self.cover + self.both >= 1.25 and self.score >= 0.63)
            or (self.anchored and self.score >= 0.7)
            or (self.cover >= 0.5 and self.clean >= 0.98)
            or self.stroke >= 0.94
        )


@dataclass(frozen=True)
class _Edge:
    """A line ``at + slope * v`` along an edge, the share of its length that is edge, from where to where v runs."""

    at: float
    slope: float
    coverage: float
    low: float
    high: float


@dataclass
class Ruler:
    """Lengths in pixels of the working picture, all from the short side of the page."""

    short: float
    reach: int

    @property
    def narrowest(self) -> float:
        """Smallest width or height of a panel."""
        return 0.07 * self.short

    @property
    def sliver(self) -> float:
        """What is thinner belongs to the line beside it."""
        return max(3.0, 0.006 * self.short)

    @property
    def widest(self) -> float:
        """Widest gutter taken as one; wider ones are left over as blank parts."""
        return 0.05 * self.short

    @property
    def end(self) -> int:
        return max(4, round(0.012 * self.short))


_SAMPLES = np.arange(240)


class Probe:
    """Candidate lines of one direction within one cell, sampled pixel by pixel."""

    def __init__(self, maps: Maps, cell: Cell, ruler: Ruler, *, across: bool) -> None:
        self.maps, self.cell, self.ruler, self.across = maps, cell, ruler, across
        self.height, self.width = maps.paper.shape
        self.rows = np.arange(self.height)

    def cuts(self) -> list[Cut]:
        """All cuts worth comparing."""
        found: list[Cut] = []
        starts = self.lines(self.maps.rise, self.maps.near_rise)
        stops = self.lines(self.maps.fall, self.maps.near_fall)
        for line in starts:
            found += self.cut(line, None)
        for line in stops:
            found += self.cut(None, line)
        for first in starts:
            for second in stops:
                width = second.at - first.at + (second.slope - first.slope) * (first.low + first.high) / 2
                if (
                    1.5 <= width <= self.ruler.widest
                    and abs(first.slope - second.slope) <= 0.06
                    and first.coverage + second.coverage >= 0.6
                ):
                    found += self.cut(first, second)
        return found

    def lines(self, edge: NDArray[np.bool_], near: NDArray[np.bool_]) -> list[_Edge]:
        """The best supported lines of one kind of edge, fitted to it."""
        at, slope = self.maps.lines.T
        for band in (0, 2 * self.ruler.reach + 1, self.ruler.reach + 1):
            at, slope, low, high, v = self.within(at, slope)
            if not len(at):
                return []
            if band:  # beside the lines as they were: a fit can be led astray by what crosses the gutter
                moved = self.fit(edge, at, slope, v, band)
                at, slope = np.concatenate([at, moved[0]]), np.concatenate([slope, moved[1]])
                at, slope, low, high, v = self.within(at, slope)
            u = np.clip(np.rint(at[:, None] + slope[:, None] * v).astype(int), 0, self.width - 1)
            hit = near[v, u]
            coverage = hit.mean(1)
            unbroken = np.maximum(_runs(hit), _runs(hit[:, ::-1])) / hit.shape[1]
            value = np.where(coverage < 0.2, 0, coverage + 0.5 * unbroken)
            best = self.distinct(value, at + slope * low, at + slope * high, 20 if band else 64)
            at, slope, coverage, low, high = at[best], slope[best], coverage[best], low[best], high[best]
        return [_Edge(*values) for values in zip(at, slope, coverage, low, high, strict=True)]

    def within(self, at: Any, slope: Any) -> tuple[Any, Any, Any, Any, Any]:
        """The lines that part the cell: start, slope, from and to where in the cell, samples along each."""
        low, high = self.cell.extent(at, slope, across=self.across)
        low, high = np.clip(np.ceil(low), 0, self.height), np.clip(np.floor(high), 0, self.height)
        usable = (high - low >= self.ruler.narrowest) & self.inner(at, slope)
        at, slope, low, high = at[usable], slope[usable], low[usable], high[usable]
        # The same number of samples whatever the length: lines are straight.
        v = (low[:, None] + (high - low)[:, None] * _SAMPLES[None] / len(_SAMPLES)).astype(int)
        return at, slope, low, high, v

    def inner(self, at: Any, slope: Any) -> NDArray[np.bool_]:
        """Which lines leave something of the cell on either side (the cell's own border does not)."""
        p = self.cell.points[:, ::-1] if self.across else self.cell.points
        side = p[None, :, 0] - at[:, None] - slope[:, None] * p[None, :, 1]
        return np.asarray(np.minimum(side.max(1), -side.min(1)) >= self.ruler.sliver)

    def distinct(self, value: Any, start: Any, stop: Any, count: int) -> list[int]:
        """Positions of the best lines, none beside a better one (`start` and `stop`: where they cross the cell)."""
        kept: list[int] = []
        apart = self.ruler.reach
        for i in np.argsort(-value, kind="stable"):
            if value[i] <= 0 or len(kept) >= count:
                break
            if not kept or (
                np.maximum(abs(start[kept] - start[i]), abs(stop[kept] - stop[i])).min() >= apart
            ):
                kept.append(int(i))
        return kept

    def columns(self, at: Any, slope: Any) -> NDArray[np.int64]:
        u = np.rint(np.asarray(at)[..., None] + np.asarray(slope)[..., None] * self.rows).astype(int)
        return np.clip(u, 0, self.width - 1)

    def fit(self, edge: Any, at: Any, slope: Any, v: Any, band: int) -> tuple[Any, Any]:
        """Lines moved onto the edge pixels within `band` of them at samples `v` (least squares)."""
        u = np.rint(at[:, None] + slope[:, None] * v).astype(int)
        shift = np.zeros(u.shape, int)
        weight = np.zeros(u.shape, bool)
        for offset in sorted(range(-band, band + 1), key=abs):
            hit = edge[v, np.clip(u + offset, 0, self.width - 1)] & ~weight
            shift[hit] = offset
            weight |= hit
        n = np.maximum(1, weight.sum(1))
        x = u + shift
        y0, x0 = (weight * v).sum(1) / n, (weight * x).sum(1) / n
        dy = v - y0[:, None]
        spread = (weight * dy * dy).sum(1)
        fitted = (weight * dy * (x - x0[:, None])).sum(1) / np.maximum(1, spread)
        good = (n >= 8) & (spread > 0)
        slope = np.where(good, fitted, slope)
        return np.where(good, x0 - slope * y0, at), slope

    def clear(self, start: Any, stop: Any) -> NDArray[np.bool_]:
        """Whether columns start .. stop of each row are paper, but for a tenth."""
        start = np.clip(start, 0, self.width)
        stop = np.clip(np.maximum(stop, start + 1), 0, self.width)
        ink = self.maps.ink[self.rows, stop] - self.maps.ink[self.rows, start]
        return np.asarray(ink <= 0.1 * (stop - start))

    def cut(self, first: _Edge | None, second: _Edge | None) -> list[Cut]:
        """The cut between two edges, or beside one."""
        edges = [edge for edge in (first, second) if edge is not None]
        at, slope = np.array([e.at for e in edges]), np.array([e.slope for e in edges])
        rows = self.rows[int(max(e.low for e in edges)) : int(min(e.high for e in edges))]
        if len(rows) < self.ruler.narrowest:
            return []
        u = self.columns(at, slope)
        reach = self.ruler.reach
        if second is None:
            paper = self.clear(u[0] + 2, u[0] + 3 + reach)
        elif first is None:
            paper = self.clear(u[0] - 2 - reach, u[0] - 1)
        else:
            if (u[1] - u[0])[rows].min() < 1:
                return []
            paper = self.clear(u[0] + 2, u[1] - 1)
        nothing = np.zeros(self.height, bool)
        rise = self.maps.near_rise[self.rows, u[0]] if first is not None else nothing
        fall = self.maps.near_fall[self.rows, u[-1]] if second is not None else nothing
        stroke = nothing.copy()
        for line in u:
            stroke |= self.maps.stroke[self.rows, line]
        rows = rows[_between_blank(paper[rows] & ~(rise | fall | stroke)[rows])]
        worth = np.where(
            paper,
            np.where(rise & fall, BOTH, np.where(rise | fall, ONE, BARE)),
            np.where(stroke, STROKE, 0.0),
        )[rows]
        gutter = float((paper & (rise | fall))[rows].mean())
        lined = stroke | (self.maps.near_rise & self.maps.near_fall)[self.rows, u[0]]
        ruled = float((lined & self.maps.solid[self.rows, u[0]])[rows].mean())
        score = margin = float(worth.mean())
        both = (paper & rise & fall)[rows]
        anchored = False
        if gutter >= 0.35 or both.mean() >= 0.3:
            n = self.ruler.end
            page_edges = rows[0] <= 2, rows[-1] >= self.height - 3
            for flip, page_edge in zip((1, -1), page_edges, strict=True):
                run = _first_run(both[::flip])
                if page_edge:
                    if run >= 0.5 * len(rows):
                        anchored, score = True, max(score, 0.7 + 0.25 * run / len(rows))
                    continue
                open_ = (paper | stroke)[rows][::flip]
                near, beyond = open_[:n], open_[n : 4 * n]
                if (~near).sum() >= 2:
                    score -= CLOSED if beyond.mean() > 0.5 else 0
                    continue
                outside = rows[0] - np.arange(1, 5) if flip == 1 else rows[-1] + np.arange(1, 5)
                if paper[np.clip(outside, 0, self.height - 1)].all() and run >= max(
                    0.3 * len(rows), 1.2 * self.ruler.narrowest
                ):
                    anchored = True
                    score = max(score, 0.7 + 0.25 * run / len(rows))
        elif len(edges) == 1 and len(rows) >= 3 * self.ruler.narrowest and ruled >= 0.94:
            score = 0.3 + 0.4 * ruled
        else:
            return []
        if len(edges) == 2 and both.mean() < 0.3 and not paper[rows].mean() > 0.95:
            return []
        before = Line(first.at, first.slope, self.across) if first is not None else None
        after = Line(second.at, second.slope, self.across) if second is not None else None
        shares = (float((rise & (paper | stroke))[rows].mean()), float((fall & (paper | stroke))[rows].mean()))
        if before is None:
            assert after is not None
            before = after.moved(-1)
        if after is None:
            after = before.moved(1)
        return [Cut(score, before, after, shares, gutter, ruled, float((paper & rise & fall)[rows].mean()), float(paper[rows].mean()), float(((rise | fall) & (paper | stroke))[rows].mean()), anchored, margin)]


def _runs(hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the stretch of hits at the start of each row."""
    return np.asarray(np.where(hit.all(1), hit.shape[1], (~hit).argmax(1)))


def _between_blank(blank: NDArray[np.bool_]) -> slice:
    """What is left without the blank stretches at either end, each up to a seventh of the whole.

    A margin beside the panels, or the far end of a panel without a frame, says nothing about a gutter.
    """
    most = len(blank) // 7
    first = int(np.argmin(blank)) if not blank.all() else 0
    last = int(np.argmin(blank[::-1])) if not blank.all() else 0
    return slice(min(first, most), len(blank) - min(last, most))


def _first_run(good: NDArray[np.bool_]) -> int:
    """Length of the stretch at the start that is good but for single faults of up to 3 % of it."""
    if not good.any():
        return 0
    faults = np.cumsum(~good)
    length = np.arange(1, len(good) + 1)
    fine = np.flatnonzero(good & (faults <= 3 + 0.03 * length))
    return int(fine[-1]) + 1 if len(fine) else 0


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
