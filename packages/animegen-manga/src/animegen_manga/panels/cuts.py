"""Straight cuts through a part of a page, and what speaks for each: gutter, frame edge, shared frame line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animegen_manga.panels.cell import Cell, Line
from animegen_manga.panels.edges import Edge, Ruler, find_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen_manga.panels.evidence import Maps

BOTH, ONE, STROKE, BARE = 1.0, 0.85, 0.75, 0.3
"""What a row of a cut is worth: paper between two edges, paper beside one, a drawn line, paper alone."""
CLOSED = 0.2
"""Taken from a cut for each end that a frame closes: a white bar inside a panel ends there, a gutter goes on."""
RULED, RULED_LONG = 0.94, 0.82
"""Share of a line without any gutter that must be solid ink to be a frame two panels share; less for a long one, which
figures cross, and which nobody rules that straight inside a drawing."""
LEAST = 0.28
"""Share of a line that must be edge for a cut beside it to be looked at: the border of a margin needs 0.4 of what is
left without the blank ends."""
LONG = 0.55
"""Share of the page's short side from which a line is long."""


@dataclass(frozen=True)
class Cut:
    """A cut with its evidence, each a share of its length but for the score.

    Attributes:
        score: Mean worth of its rows, less what closed ends take, in [0, 1].
        before: Where the part left of (above) it ends.
        after: Where the other part begins.
        edges: Edge where paper begins; edge where it ends.
        both: Paper with both edges: a drawn gutter.
        cover: Paper or line with either edge.
        paper: Paper.
        frame: Whether it is a solid drawn line that two panels share.
        anchored: It is a perfect gutter from one end on, as where a balloon lies over the rest.
        plain: The score with ends disregarded, for the border of a margin.
    """

    score: float
    before: Line
    after: Line
    edges: tuple[float, float]
    both: float
    cover: float
    paper: float
    frame: bool
    anchored: bool
    plain: float

    @property
    def rank(self) -> float:
        """For choosing among cuts."""
        return self.score + self.cover

    def splits(self, threshold: float) -> bool:
        """Whether it is sure enough to part two panels. (Measured: these are where mistakes of both sorts balance.)"""
        return (
            (min(self.edges) == 0 and self.cover >= threshold + 0.09 and self.score >= threshold + 0.02)
            or (self.cover + self.both >= 1.25 and self.score >= threshold + 0.03)
            or (self.anchored and self.score >= threshold + 0.1)
            or (self.cover >= 0.5 and self.paper >= 0.98)
            or self.frame
        )


def find_cuts(maps: Maps, cell: Cell, ruler: Ruler, *, across: bool) -> list[Cut]:
    """All cuts of one direction through `cell` that are worth comparing.

    Args:
        maps: Evidence for cuts that run down (of the transposed page with `across`).
        cell: Part of the page.
        ruler: Lengths.
        across: Whether the cuts run to the right.
    """
    judge = _Judge(maps, ruler, across)
    starts = find_edges(maps, cell, ruler, rising=True, across=across)
    stops = find_edges(maps, cell, ruler, rising=False, across=across)
    found = [judge.cut(edge, None) for edge in starts if edge.coverage >= LEAST]
    found += [judge.cut(None, edge) for edge in stops if edge.coverage >= LEAST]
    for first in starts:
        for second in stops:
            low, high = max(first.low, second.low), min(first.high, second.high)
            width = second.at - first.at + (second.slope - first.slope) * (low + high) / 2
            if high > low and 1.5 <= width <= ruler.widest and abs(first.slope - second.slope) <= 0.06:
                hits = first.hit[low - first.low : high - first.low] & second.hit[low - second.low : high - second.low]
                if hits.sum() >= 0.25 * len(hits):
                    found.append(judge.cut(first, second))
    return [cut for cut in found if cut is not None]


class _Judge:
    def __init__(self, maps: Maps, ruler: Ruler, across: bool) -> None:
        self.maps, self.ruler, self.across = maps, ruler, across
        self.height, self.width = maps.paper.shape

    def cut(self, first: Edge | None, second: Edge | None) -> Cut | None:
        """The cut between two edges, or beside one; None where too little speaks for it."""
        edges = [edge for edge in (first, second) if edge is not None]
        low, high = max(e.low for e in edges), min(e.high for e in edges)
        if high - low < self.ruler.narrowest:
            return None
        rows = np.arange(low, high)
        u = [e.u[low - e.low : high - e.low] for e in edges]
        hits = [e.hit[low - e.low : high - e.low] for e in edges]
        if first and second:
            if (u[1] - u[0]).min() < 1:
                return None
            paper = self.clear(rows, u[0] + 2, u[1] - 1)
        elif first:
            paper = self.clear(rows, u[0] + 2, u[0] + 3 + self.ruler.reach)
        else:
            paper = self.clear(rows, u[0] - 2 - self.ruler.reach, u[0] - 1)
        rise = hits[0] if first else np.zeros_like(paper)
        fall = hits[-1] if second else np.zeros_like(paper)
        stroke = np.logical_or.reduce([e.stroke[low - e.low : high - e.low] for e in edges])

        kept = _between_blank(paper & ~(rise | fall | stroke))
        rows, paper, rise, fall, stroke = rows[kept], paper[kept], rise[kept], fall[kept], stroke[kept]
        both, either = paper & rise & fall, rise | fall
        worth = np.where(
            paper,
            np.where(both, BOTH, np.where(either, ONE, BARE)),
            np.where(stroke, STROKE, 0.0),
        )
        plain = score = float(worth.mean())
        column = u[0][kept]
        lined = stroke | (self.maps.near_rise & self.maps.near_fall)[rows, column]
        ruled = float((lined & self.maps.solid[rows, column]).mean())
        anchored = False
        if (paper & either).mean() >= 0.35 or both.mean() >= 0.3:
            if first and second and both.mean() < 0.3 and paper.mean() <= 0.95:
                return None  # two edges that have nothing to do with each other
            closed, run = self.ends(rows, paper, stroke, both)
            score -= CLOSED * closed
            if run:
                anchored, score = True, max(score, 0.7 + 0.25 * run / len(rows))
        elif len(edges) == 1 and len(rows) >= 3 * self.ruler.narrowest and ruled >= self.ruled(len(rows)):
            score = 0.3 + 0.4 * ruled
        else:
            return None
        lines = [Line(e.at, e.slope, self.across) for e in edges]
        return Cut(
            score,
            lines[0] if first else lines[0].moved(-1),
            lines[-1] if second else lines[-1].moved(1),
            (float((rise & (paper | stroke)).mean()), float((fall & (paper | stroke)).mean())),
            float(both.mean()),
            float((either & (paper | stroke)).mean()),
            float(paper.mean()),
            ruled >= self.ruled(len(rows)),
            anchored,
            plain,
        )

    def ruled(self, length: int) -> float:
        """Share of solid ink that makes a line of this length a shared frame."""
        return RULED_LONG if length >= LONG * self.ruler.short else RULED

    def ends(
        self, rows: NDArray[np.int64], paper: NDArray[np.bool_], stroke: NDArray[np.bool_], both: NDArray[np.bool_]
    ) -> tuple[int, int]:
        """How many ends a frame closes, and how far a perfect gutter reaches from an end that is open.

        An end is open where the gutter meets another one or the edge of the page.
        """
        closed, longest = 0, 0
        n = self.ruler.end
        for flip in (1, -1):
            run = _first_run(both[::flip])
            last = rows[::flip][0]
            if last <= 2 or last >= self.height - 3:
                if run >= 0.5 * len(rows):  # bleeds reach the page's edge too, so more is asked for here
                    longest = max(longest, run)
                continue
            passable = (paper | stroke)[::flip]
            if (~passable[:n]).sum() >= 2:
                closed += bool(passable[n : 4 * n].mean() > 0.5)
            elif paper[::flip][:4].all() and run >= max(0.3 * len(rows), 1.2 * self.ruler.narrowest):
                longest = max(longest, run)
        return closed, longest

    def clear(self, rows: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether columns start .. stop of each row are paper, but for a tenth."""
        start = np.clip(start, 0, self.width)
        stop = np.clip(np.maximum(stop, start + 1), 0, self.width)
        ink = self.maps.ink[rows, stop] - self.maps.ink[rows, start]
        return np.asarray(ink <= 0.1 * (stop - start))


def _between_blank(blank: NDArray[np.bool_]) -> slice:
    """What is left without the blank stretches at either end, each up to a seventh of the whole.

    A margin beside the panels, or the far end of a panel without a frame, says nothing about a gutter.
    """
    if blank.all():
        return slice(None)
    most = len(blank) // 7
    return slice(min(int(blank.argmin()), most), len(blank) - min(int(blank[::-1].argmin()), most))


def _first_run(good: NDArray[np.bool_]) -> int:
    """Length of the stretch at the start that is good but for faults in 3 % of it."""
    faults = np.cumsum(~good)
    fine = np.flatnonzero(good & (faults <= 3 + 0.03 * np.arange(1, len(good) + 1)))
    return int(fine[-1]) + 1 if len(fine) else 0
