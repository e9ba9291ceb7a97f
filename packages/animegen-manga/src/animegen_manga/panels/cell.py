"""Convex parts of a page, cut by straight lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A line that runs down (``x = at + slope * y``) or, with `across`, to the right (``y = at + slope * x``)."""

    at: float
    slope: float
    across: bool

    def side(self, points: Points) -> NDArray[np.float64]:
        """How far each (x, y) lies right of (below) the line, in pixels along the axis."""
        u, v = (points[:, 1], points[:, 0]) if self.across else (points[:, 0], points[:, 1])
        return np.asarray(u - self.at - self.slope * v)

    def moved(self, by: float) -> Line:
        return Line(self.at + by, self.slope, self.across)


@dataclass(frozen=True)
class Cell:
    """A convex polygon, corners in order, and how well each of its four sides is supported, in [0, 1].

    Attributes:
        points: (N, 2) corners (x, y).
        support: Left, top, right, bottom; 0 where nothing but the page's edge bounds it.
    """

    points: Points
    support: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1."""
        low, high = self.points.min(0), self.points.max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def area(self) -> float:
        x, y = self.points[:, 0], self.points[:, 1]
        return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

    def keep(self, line: Line, *, after: bool, support: float) -> Cell | None:
        """The part right of (below) the line, or left of (above) it; None where nothing is left."""
        distance = line.side(self.points) * (1 if after else -1)
        corners: list[Points] = []
        for i in range(len(self.points)):
            j = (i + 1) % len(self.points)
            if distance[i] >= 0:
                corners.append(self.points[i])
            if distance[i] * distance[j] < 0:
                t = distance[i] / (distance[i] - distance[j])
                corners.append(self.points[i] + t * (self.points[j] - self.points[i]))
        if len(corners) < 3:
            return None
        sides = list(self.support)
        sides[(1 if line.across else 0) if after else (3 if line.across else 2)] = support
        return Cell(np.array(corners), (sides[0], sides[1], sides[2], sides[3]))

    def extent(self, at: Points, slope: Points, *, across: bool) -> tuple[Points, Points]:
        """Where lines enter and leave the cell, along the axis they run; enter > leave where they miss it.

        Args:
            at, slope: (N,) lines.
            across: Whether they run to the right.
        """
        p = self.points[:, ::-1] if across else self.points
        q = np.roll(p, -1, axis=0)
        centre = p.mean(0)
        low, high = np.full(len(at), -np.inf), np.full(len(at), np.inf)
        for (x0, y0), (x1, y1) in zip(p, q, strict=True):
            nx, ny = y1 - y0, x0 - x1  # a normal; turned so that the inside is nx*x + ny*y <= d
            if nx == 0 and ny == 0:
                continue
            if nx * (centre[0] - x0) + ny * (centre[1] - y0) > 0:
                nx, ny = -nx, -ny
            k, rest = nx * slope + ny, nx * x0 + ny * y0 - nx * at
            with np.errstate(divide="ignore", invalid="ignore"):
                y = rest / k
            high = np.where(k > 1e-9, np.minimum(high, y), high)
            low = np.where(k < -1e-9, np.maximum(low, y), low)
            high = np.where((abs(k) <= 1e-9) & (rest < 0), -np.inf, high)
        return low, high
