"""Speech balloons: masks from annotated text boxes, and without annotation. Importing this is free; use is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animegen_manga.balloons.annotated import balloon_masks
    from animegen_manga.balloons.detect import detect_balloons

__all__ = ["balloon_masks", "detect_balloons"]


def __getattr__(name: str) -> object:
    if name == "balloon_masks":
        from animegen_manga.balloons.annotated import balloon_masks

        return balloon_masks
    if name == "detect_balloons":
        from animegen_manga.balloons.detect import detect_balloons

        return detect_balloons
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
