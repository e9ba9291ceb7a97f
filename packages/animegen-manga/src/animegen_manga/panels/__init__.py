"""Panels of a page without annotation. Importing this is free; use is not."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animegen_manga.panels.detect import detect_panels
    from animegen_manga.panels.stage import Panels

_LAZY = {"detect_panels": "detect", "Panels": "stage"}

__all__ = ["Panels", "detect_panels"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
