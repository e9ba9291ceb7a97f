"""A page taken apart: the surest cut first, then each part again, until nothing more speaks for a cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen_manga.panels.cell import Cell
from animegen_manga.panels.cuts import Cut, find_cuts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen_manga.panels.edges import Ruler
    from animegen_manga.panels.evidence import Maps

_DEEPEST = 60
_SURE = 0.8


@dataclass(frozen=True)
class Splitter:
    """Takes a page apart.

    Attributes:
        maps: Evidence for cuts that run down and across.
        ruler: Lengths.
        threshold: Score a cut must have, 0 .. 1.
    """

    maps: tuple[Maps, Maps]
    ruler: Ruler
    threshold: float

    def panels(self, page: Cell) -> list[Cell]:
        """The panels of a page: by flooding the gutters where that is clear, and by cuts."""
        islands = self.islands(page, solid=0.95)
        return [panel for island in islands for panel in self.split(island)]

    def split(self, cell: Cell, depth: int = 0) -> list[Cell]:
        """The panels in a part of the page, by cuts; parts that no cut reaches are flooded again."""
        parts = self.best(cell) if depth < _DEEPEST else []
        if parts:
            return [panel for part in parts for panel in self.split(part, depth + 1)]
        return self.islands(cell, solid=0.85) if depth else [cell]

    def best(self, cell: Cell) -> list[Cell]:
        """The parts that the best cut leaves: two panels, or one without a margin; empty where there is none."""
        cuts = [cut for across in (0, 1) for cut in find_cuts(self.maps[across], cell, self.ruler, across=bool(across))]
        trimmed = cell
        for cut in sorted(cuts, key=lambda cut: -cut.rank):
            if max(cut.score, cut.plain) < self.threshold:
                continue
            if trimmed is not cell and cut.plain < _SURE:
                continue  # with a margin gone, what is less sure is looked at again
            parts = self.parts(trimmed, cut)
            if len(parts) == 2 and trimmed is cell and cut.splits(self.threshold):
                return parts
            if len(parts) == 1:
                trimmed = parts[0]
        return [] if trimmed is cell else [trimmed]

    def parts(self, cell: Cell, cut: Cut) -> list[Cell]:
        """What a cut leaves; nothing when it is no cut (a part too thin to be a panel, yet not blank)."""
        kept = []
        paper = self.maps[0].paper
        size = paper.shape[1], paper.shape[0]
        for side, line in enumerate((cut.before, cut.after)):
            part = cell.keep(line, after=bool(side), support=min(1.0, max(0.0, cut.score)))
            if part is None:
                continue
            if part.area > 0.995 * cell.area:
                return []
            bounds = x0, y0, x1, y1 = part.bounds
            thickness = (y1 - y0) if line.across else (x1 - x0)
            outermost = bounds[2 * side + line.across] in (0.0, float(size[line.across]))
            if thickness < 3 or self.blank(part, thickness / self.ruler.short, outermost):
                if cut.edges[1 - side] < 0.4:
                    return []  # white beside white: a panel without a frame keeps its ground
                continue
            if min(x1 - x0, y1 - y0, part.area / max(x1 - x0, y1 - y0)) < self.ruler.narrowest:
                return []
            kept.append(part)
        return kept

    def blank(self, part: Cell, thickness: float, outermost: bool) -> bool:
        """Whether a part is margin: the thinner, the more may stray into it (balloons, hair, page numbers)."""
        share = ink_share(part, self.maps[0].paper)
        if outermost and thickness < 0.15 and share < 0.25:  # a title above the panels
            return True
        return share < (0.1 if thickness < 0.1 else 0.05 if thickness < 0.2 else 0.02)

    def islands(self, cell: Cell, *, solid: float) -> list[Cell]:
        """Upright rectangles with paper all around, or the cell itself where its ink is not all in such.

        Straight cuts do not reach panels laid out as a pinwheel; flooding does, as long as nothing bridges a gutter.

        Args:
            cell: Part of the page.
            solid: Share of its bounding box that a rectangle fills.
        """
        paper = self.maps[0].paper
        x0, y0, x1, y1 = (round(v) for v in cell.bounds)
        ground = paper[y0:y1, x0:x1]
        if not ground.size or min(ground.shape) < 2 * self.ruler.narrowest:
            return [cell]
        mask = cv2.copyMakeBorder(ground.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
        outside = cv2.connectedComponents(mask, connectivity=4)[1]
        shapes = (outside != outside[0, 0]).astype(np.uint8)[1:-1, 1:-1]
        shapes = cv2.morphologyEx(shapes, cv2.MORPH_OPEN, np.ones((2 * self.ruler.reach + 1,) * 2, np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(shapes, connectivity=4)
        found, filled = [], 0
        for left, top, width, height, area in stats[1:]:
            if min(width, height) >= 2 * self.ruler.narrowest and area >= solid * width * height:
                x, y = x0 + float(left), y0 + float(top)
                corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
                found.append(Cell(np.array(corners), (0.9, 0.9, 0.9, 0.9)))
                filled += int(area)
        if len(found) < 2 or filled < 0.9 * stats[1:, cv2.CC_STAT_AREA].sum():
            return [cell]
        return found


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
