"""Reading order of the panels of a page, by recursive cuts.

A page is cut along the gutter that crosses the fewest panels, rows before columns, until single panels are
left. Comparing panels two by two and sorting is not transitive on staggered pages; cuts are. The idea is that
of Kovanen et al. (2015) and of the Manga109 group's own estimator, with two changes measured on real pages:
of the cuts that the tolerance allows the one that crosses the panels least is taken, not the first, and columns
come before rows where the rows would have to be cut much less cleanly.

Right to left is worked out; left to right is the same on the mirrored page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from animegen.media import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen_manga.annotation import Direction

CERTAIN = 0.25
"""Share of a panel's side that may lie beyond a cut: slanted gutters, figures that break the frame."""
DOUBTFUL = 0.4
"""The same for cuts that mark what they part as uncertain."""
ROWS_FIRST = 0.03
"""Rows are cut before columns unless they cross the panels by this much more (sum of squared shares: many slight
crossings are one slanted gutter, one deep crossing is no gutter)."""
SPREAD = 1.2
"""A page wider than this many times its height is a double-page spread."""
INSET = 0.85
"""A panel with this share of its area inside another is an inset, read right after it."""
ROW = 0.08
"""Where no cut helps, panels whose tops differ by less than this share of the page's height are one row."""


@dataclass(frozen=True)
class ReadingOrder:
    """Order of the boxes of a page.

    Attributes:
        indices: Positions in the list that was given, in reading order; a permutation.
        uncertain: Those of them whose place could not be told by clear cuts.
    """

    indices: tuple[int, ...]
    uncertain: frozenset[int] = frozenset()


def reading_order(
    boxes: Sequence[Box],
    width: int,
    height: int,
    *,
    direction: Direction = "rtl",
    columns: int = 0,
    spread: bool | None = None,
) -> ReadingOrder:
    """Order of panels on a page.

    Args:
        boxes: Panels, in any order; the result does not depend on it.
        width, height: Size of the page, pixels.
        direction: ``rtl`` as in Japan, or ``ltr``.
        columns: Read the page as this many equal columns (four-panel strips: 4 on a spread, 2 on a page).
        spread: Whether it is a double page, read half by half; None: judged by its shape.

    Returns:
        A permutation with the places that are uncertain.
    """
    mirrored = [Box(width - b.x1, b.y0, width - b.x0, b.y1) if direction == "ltr" else b for b in boxes]
    page = _Page(mirrored, width, height)
    everything = sorted(range(len(boxes)), key=lambda i: mirrored[i])
    parents = page.insets(everything)
    top = [i for i in everything if i not in parents]
    ordered = [i for group in _strips(page, top, columns, spread) for i in page.cut(group)]
    for child in page.by_depth(parents):
        # After its parent, and after insets of the same parent that are read before it.
        siblings = [i for i in parents if parents[i] == parents[child]]
        in_order = page.cut(siblings)
        after = [parents[child], *in_order[: in_order.index(child)]]
        place = max(ordered.index(i) for i in after if i in ordered) + 1
        ordered.insert(place, child)
    return ReadingOrder(tuple(ordered), frozenset(page.uncertain))


def tidy_frames(
    boxes: Sequence[Box], width: int, height: int, *, smallest: float = 0.01, same: float = 0.8
) -> list[int]:
    """Positions of the boxes worth ordering: without specks and without the second of two that are one.

    Args:
        boxes: Annotated or detected panels.
        width, height: Size of the page, pixels.
        smallest: Share of the page's area below which a box is dropped.
        same: Intersection over union above which two boxes are one panel; the larger is kept.
    """
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-boxes[i].area, boxes[i])):
        if boxes[i].area >= smallest * width * height and all(boxes[i].iou(boxes[j]) <= same for j in kept):
            kept.append(i)
    return sorted(kept)


def _strips(page: _Page, top: list[int], columns: int, spread: bool | None) -> list[list[int]]:
    """Parts of the page read one after the other whatever the panels say: columns, or halves of a spread."""
    if columns <= 1:
        if spread is None:
            spread = page.width > SPREAD * page.height
        columns = 2 if spread else 1
        middle = page.width / 2
        for i in top:
            box = page.boxes[i]
            if min(middle - box.x0, box.x1 - middle) > CERTAIN * box.width:
                columns = 1  # a drawing over both pages makes one page of them
    if columns <= 1:
        return [top]
    side = page.width / columns
    strips: list[list[int]] = [[] for _ in range(columns)]
    for i in top:
        centre = (page.boxes[i].x0 + page.boxes[i].x1) / 2
        strips[columns - 1 - min(columns - 1, max(0, int(centre / side)))].append(i)
    return strips


_Cut: TypeAlias = tuple[float, list[int], list[int]]


class _Page:
    """Boxes read right to left."""

    def __init__(self, boxes: list[Box], width: int, height: int) -> None:
        self.boxes = boxes
        self.width = width
        self.height = height
        self.uncertain: set[int] = set()

    def insets(self, indices: list[int]) -> dict[int, int]:
        """Parent of each inset: the smallest panel that holds it."""
        parents: dict[int, int] = {}
        by_size = sorted(indices, key=lambda i: (self.boxes[i].area, self.boxes[i]))
        for place, i in enumerate(by_size):
            area = self.boxes[i].area
            for j in by_size[place + 1 :]:
                if area < self.boxes[j].area and (self.boxes[i].intersection(self.boxes[j]).area >= INSET * area):
                    parents[i] = j
                    break
        return parents

    def by_depth(self, parents: dict[int, int]) -> list[int]:
        """Insets, those of whole panels before insets of insets, each group in reading order."""
        depth = {}
        for i in parents:
            steps, j = 0, i
            while j in parents:
                steps, j = steps + 1, parents[j]
            depth[i] = steps
        ordered = []
        for level in sorted(set(depth.values())):
            group = [i for i in parents if depth[i] == level]
            for parent in sorted({parents[i] for i in group}, key=lambda i: self.boxes[i]):
                ordered += self.cut([i for i in group if parents[i] == parent])
        return ordered

    def cut(self, group: list[int]) -> list[int]:
        """The group in reading order."""
        if len(group) <= 1:
            return list(group)
        for tolerance in (CERTAIN, DOUBTFUL):
            rows = self._split(group, tolerance, rows=True)
            columns = self._split(group, tolerance, rows=False)
            best: _Cut | None
            if rows and columns:
                best = rows if rows[0] <= columns[0] + ROWS_FIRST else columns
            else:
                best = rows or columns
            if best:
                if tolerance > CERTAIN:
                    self.uncertain.update(group)
                _, first, rest = best
                return self.cut(first) + self.cut(rest)
        self.uncertain.update(group)
        step = max(1.0, ROW * self.height)
        return sorted(group, key=lambda i: (round(self.boxes[i].y0 / step), -self.boxes[i].x1, self.boxes[i]))

    def _split(self, group: list[int], tolerance: float, *, rows: bool) -> _Cut | None:
        """The cut across rows (or columns, right part first) that crosses least: how much, and both parts."""
        spans = {  # along the axis that is cut, in reading direction
            i: (b.y0, b.y1) if rows else (-b.x1, -b.x0) for i in group for b in (self.boxes[i],)
        }
        best: _Cut | None = None
        for at in sorted({edge for span in spans.values() for edge in span}):
            shares = [self._beyond(span, at) for span in spans.values()]
            cost = sum(share * share for share in shares)
            if max(shares) > tolerance or (best and cost >= best[0] - 1e-9):
                continue
            first = [i for i in group if self._is_first(spans[i], at)]
            if 0 < len(first) < len(group):
                best = cost, first, [i for i in group if i not in first]
        return best

    @staticmethod
    def _beyond(span: tuple[int, int], at: int) -> float:
        """Share of a span on the smaller side of the cut."""
        low, high = span
        return max(0, min(at - low, high - at)) / max(1, high - low)

    @staticmethod
    def _is_first(span: tuple[int, int], at: int) -> bool:
        return at - span[0] > span[1] - at
