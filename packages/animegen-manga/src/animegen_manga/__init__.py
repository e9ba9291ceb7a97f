"""Manga for AnimeGen: pages in, panels, pairs and balloon masks out.

Importing this package is cheap; numpy and OpenCV are imported by the first name that needs them. Using
Manga109 means accepting its terms: see `animegen_manga.manga109`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animegen_manga.annotation import AnnotationWarning, Book, Page
    from animegen_manga.extract import ExtractOptions, ExtractSummary, extract_panels
    from animegen_manga.manga109 import CITATIONS, TERMS, Manga109, courtesy
    from animegen_manga.order import ReadingOrder, reading_order, tidy_frames
    from animegen_manga.overlay import page_overlay
    from animegen_manga.overrides import TitleOverride, read_overrides
    from animegen_manga.pages import PageSource, open_pages
    from animegen_manga.pairs import PairRules, PanelInfo, ScoredPair, score_pairs, select_pairs
    from animegen_manga.panels import detect_panels

_MODULES = {
    "annotation": ("AnnotationWarning", "Book", "Page"),
    "extract": ("ExtractOptions", "ExtractSummary", "extract_panels"),
    "manga109": ("CITATIONS", "TERMS", "Manga109", "courtesy"),
    "order": ("ReadingOrder", "reading_order", "tidy_frames"),
    "overlay": ("page_overlay",),
    "overrides": ("TitleOverride", "read_overrides"),
    "pages": ("PageSource", "open_pages"),
    "pairs": ("PairRules", "PanelInfo", "ScoredPair", "score_pairs", "select_pairs"),
    "panels": ("detect_panels",),
}
_LAZY = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "CITATIONS",
    "TERMS",
    "AnnotationWarning",
    "Book",
    "ExtractOptions",
    "ExtractSummary",
    "Manga109",
    "Page",
    "PageSource",
    "PairRules",
    "PanelInfo",
    "ReadingOrder",
    "ScoredPair",
    "TitleOverride",
    "courtesy",
    "detect_panels",
    "extract_panels",
    "open_pages",
    "page_overlay",
    "read_overrides",
    "reading_order",
    "score_pairs",
    "select_pairs",
    "tidy_frames",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
