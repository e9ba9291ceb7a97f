"""Straight edges within a part of a page: candidate lines, fitted to the pixels that support them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen_manga.panels.cell import Cell
    from animegen_manga.panels.evidence import Maps

_SAMPLES = np.arange(240)
_FIRST, _KEPT = 64, 14
_FEWEST = 0.2


@dataclass(frozen=True)
class Ruler:
    """Lengths in pixels of the working picture, all from the short side of the page.

    Attributes:
        short: Short side of the page.
        reach: How far a drawn frame may wander from a straight line.
    """

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
        """Widest gutter that is judged by both its edges at once."""
        return 0.05 * self.short

    @property
    def end(self) -> int:
        """How far from its end a gutter is looked at to see whether a frame closes it."""
        return max(4, round(0.012 * self.short))


@dataclass(frozen=True, eq=False)
class Edge:
    """A line ``at + slope * v`` along an edge, from v = `low` to v = `high` (exclusive).

    Attributes:
        coverage: Share of its length that is edge.
        u: Column of each of its rows.
        hit: Whether each row is edge.
        stroke: Whether each row is part of a thin drawn line.
    """

    at: float
    slope: float
    low: int
    high: int
    coverage: float
    u: NDArray[np.int64]
    hit: NDArray[np.bool_]
    stroke: NDArray[np.bool_]


def find_edges(maps: Maps, cell: Cell, ruler: Ruler, *, rising: bool, across: bool) -> list[Edge]:
    """The best supported lines of one kind of edge that part `cell`, best first.

    Args:
        maps: Evidence for lines that run down (of the transposed page with `across`).
        cell: Part of the page.
        ruler: Lengths.
        rising: Edges where paper begins, else where it ends.
        across: Whether the lines run to the right.
    """
    edge, near = (maps.rise, maps.near_rise) if rising else (maps.fall, maps.near_fall)
    width = near.shape[1]
    at, slope = _seen_in(maps.lines, cell, ruler, across)
    for band in (0, 2 * ruler.reach + 1, ruler.reach + 1):
        at, slope, low, high, v = _within(at, slope, cell, ruler, len(near), across)
        if not len(at):
            return []
        if band:  # beside the lines as they were: a fit can be led astray by what crosses the gutter
            moved = _fit(edge, at, slope, v, band)
            at, slope = np.concatenate([at, moved[0]]), np.concatenate([slope, moved[1]])
            at, slope, low, high, v = _within(at, slope, cell, ruler, len(near), across)
        hit = near[v, np.clip(np.rint(at[:, None] + slope[:, None] * v).astype(int), 0, width - 1)]
        coverage = hit.mean(1)
        unbroken = np.maximum(_runs(hit), _runs(hit[:, ::-1])) / hit.shape[1]
        value = np.where(coverage < _FEWEST, 0, coverage + 0.5 * unbroken)
        best = _distinct(value, at + slope * low, at + slope * high, ruler.reach, _KEPT if band else _FIRST)
        at, slope, coverage, low, high = at[best], slope[best], coverage[best], low[best], high[best]
    found = []
    for i in range(len(at)):
        rows = np.arange(int(low[i]), int(high[i]))
        u = np.clip(np.rint(at[i] + slope[i] * rows).astype(int), 0, width - 1)
        found.append(
            Edge(
                float(at[i]),
                float(slope[i]),
                int(low[i]),
                int(high[i]),
                float(coverage[i]),
                u,
                near[rows, u],
                maps.stroke[rows, u],
            )
        )
    return found


def _seen_in(lines: NDArray[np.float64], cell: Cell, ruler: Ruler, across: bool) -> tuple[Any, Any]:
    """Start and slope of the lines seen inside the cell: others have nothing to say about it."""
    at, slope, x, y = lines.T
    left, top, right, bottom = cell.bounds
    if across:
        left, top, right, bottom = top, left, bottom, right
    near = ruler.sliver
    inside = (x > left - near) & (x < right + near) & (y > top - near) & (y < bottom + near)
    return at[inside], slope[inside]


def _within(at: Any, slope: Any, cell: Cell, ruler: Ruler, height: int, across: bool) -> tuple[Any, ...]:
    """The lines that part the cell: start, slope, from and to where in the cell, samples along each."""
    low, high = cell.extent(at, slope, across=across)
    low, high = np.clip(np.ceil(low), 0, height), np.clip(np.floor(high), 0, height)
    points = cell.points[:, ::-1] if across else cell.points
    side = points[None, :, 0] - at[:, None] - slope[:, None] * points[None, :, 1]
    inner = np.minimum(side.max(1), -side.min(1)) >= ruler.sliver  # the cell's own border is no cut
    usable = (high - low >= ruler.narrowest) & inner
    at, slope, low, high = at[usable], slope[usable], low[usable], high[usable]
    # The same number of samples whatever the length: lines are straight.
    v = (low[:, None] + (high - low)[:, None] * _SAMPLES[None] / len(_SAMPLES)).astype(int)
    return at, slope, low, high, v


def _fit(edge: NDArray[np.bool_], at: Any, slope: Any, v: Any, band: int) -> tuple[Any, Any]:
    """Lines moved onto the edge pixels within `band` of them at samples `v` (least squares)."""
    u = np.rint(at[:, None] + slope[:, None] * v).astype(int)
    shift = np.zeros(u.shape, int)
    weight = np.zeros(u.shape, bool)
    for offset in sorted(range(-band, band + 1), key=abs):
        hit = edge[v, np.clip(u + offset, 0, edge.shape[1] - 1)] & ~weight
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


def _distinct(value: Any, start: Any, stop: Any, apart: float, count: int) -> list[int]:
    """Positions of the best lines, none beside a better one (`start`, `stop`: where they cross the cell)."""
    kept: list[int] = []
    for i in np.argsort(-value, kind="stable"):
        if value[i] <= 0 or len(kept) >= count:
            break
        if not kept or np.maximum(abs(start[kept] - start[i]), abs(stop[kept] - stop[i])).min() >= apart:
            kept.append(int(i))
    return kept


def _runs(hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the stretch of hits at the start of each row."""
    return np.asarray(np.where(hit.all(1), hit.shape[1], (~hit).argmax(1)))
