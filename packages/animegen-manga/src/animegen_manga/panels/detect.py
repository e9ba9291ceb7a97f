"""Panels of a page by recursive straight cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen.media import Box, Region
from animegen_manga.panels.cell import Cell
from animegen_manga.panels.cuts import Cut, Probe, Ruler, ink_share
from animegen_manga.panels.evidence import Maps, evidence, likeness

if TYPE_CHECKING:
    from animegen.media import Image

WORK_SIDE = 800
"""Short side of the picture that is worked on; larger pages are made smaller first."""


@dataclass
class _Splitter:
    maps: tuple[Maps, Maps]
    ruler: Ruler
    size: tuple[float, float]
    threshold: float
    trace: list[str] | None = None

    def split(self, cell: Cell, depth: int = 0) -> list[Cell]:
        best = self.best(cell) if depth < 40 else None
        if best is None:
            return [cell]
        cut, parts = best
        if self.trace is not None:
            self.trace.append(
                f"{'  ' * depth}{'row' if cut.before.across else 'col'} at {cut.before.at:.0f}+{cut.before.slope:.2f}"
                f" gap {cut.after.at - cut.before.at:.0f} score {cut.score:.2f} edges {cut.edges[0]:.2f} {cut.edges[1]:.2f} paper {cut.paper:.2f} stroke {cut.stroke:.2f} both {cut.both:.2f} cover {cut.cover:.2f}"
                f" parts {len(parts)} in {[round(v) for v in cell.bounds]}"
            )
        return [leaf for part in parts for leaf in self.split(part, depth + 1)]

    def best(self, cell: Cell) -> tuple[Cut, list[Cell]] | None:
        found: list[Cut] = []
        for across, maps in enumerate(self.maps):
            found += Probe(maps, cell, self.ruler, across=bool(across)).cuts()
        found.sort(key=lambda cut: -cut.rank)
        if self.trace is not None:
            for c in found[:7]:
                self.trace.append(f"      ? {'row' if c.before.across else 'col'} {c.before.at:.0f}+{c.before.slope:.2f} gap {c.after.at - c.before.at:.0f} score {c.score:.2f} edges {c.edges[0]:.2f} {c.edges[1]:.2f} paper {c.paper:.2f} stroke {c.stroke:.2f} both {c.both:.2f} cover {c.cover:.2f} parts {len(self.parts(cell,c))}")
        for cut in found:
            if max(cut.score, cut.margin) < self.threshold:
                continue
            parts = self.parts(cell, cut)
            if len(parts) == 2 and not cut.splits:
                continue
            if parts:
                return cut, parts
        return None

    def parts(self, cell: Cell, cut: Cut) -> list[Cell]:
        """What a cut leaves; nothing when it is no cut (a side too thin to be a panel, yet not blank)."""
        kept = []
        area = cell.area
        for side, line, after in ((0, cut.before, False), (1, cut.after, True)):
            part = cell.keep(line, after=after, support=cut.score)
            if part is None:
                continue
            if part.area > 0.995 * area:
                return []
            bounds = x0, y0, x1, y1 = part.bounds
            thickness = (y1 - y0) if line.across else (x1 - x0)
            share = ink_share(part, self.maps[0].paper)
            thin = thickness / self.ruler.short
            edge = bounds[side * 2 + line.across] in (0.0, self.size[line.across])
            blank = share < (0.1 if thin < 0.1 else 0.05 if thin < 0.2 else 0.02) or thickness < 3
            blank |= edge and thin < 0.15 and share < 0.25  # a title or page number outside the panels
            if blank:
                if cut.edges[1 - side] < 0.4:
                    return []
                continue
            if min(x1 - x0, y1 - y0, part.area / max(x1 - x0, y1 - y0)) < self.ruler.narrowest:
                return []
            kept.append(part)
        return kept


def detect_panels(image: Image, *, threshold: float = 0.6, trace: list[str] | None = None) -> list[Region]:
    height, width = image.shape[:2]
    scale = min(1.0, WORK_SIDE / min(height, width))
    small = image
    if scale < 1:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    h, w = small.shape[:2]
    ruler = Ruler(min(h, w), max(1, round(0.0025 * min(h, w))))
    like = likeness(small, np.array([255, 255, 255], np.uint8))
    maps = evidence(like, ruler.reach, 0.04 * ruler.short)
    page = Cell(np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float64))
    leaves = _Splitter(maps, ruler, (w, h), threshold, trace).split(page)
    regions = []
    for leaf in leaves:
        points = leaf.points / scale
        x0, y0 = np.floor(points.min(0)).astype(int)
        x1, y1 = np.ceil(points.max(0)).astype(int)
        box = Box(int(x0), int(y0), int(x1), int(y1)).clip(width, height)
        polygon = tuple((int(round(x)), int(round(y))) for x, y in points)
        regions.append(Region("panel", box, float(np.mean(leaf.support)), "cuts", None, polygon))
    return regions
