"""A quick look at whether a pair works, before the clip that is wanted."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from animegen.settings.layers import ConfigLayer

if TYPE_CHECKING:
    from animegen.media import Strip
    from animegen.settings.resolve import Settings

SIDE = 320
"""Longest side of a preview, pixels."""
FRAMES = 9
"""Frames of a preview from one panel to the next, where the interpolator makes any number."""
SOURCE = "preview"
"""What run.json calls the place that these values come from."""


def preview_layer(settings: Settings, strip: Strip) -> ConfigLayer:
    """Settings that make the same clip quickly: small, few frames, no upsampling, the same duration.

    A stage made for one size or one number of frames keeps it; what else makes it quick, its record says. The layer
    stands above settings that always hold and below the command line, so whatever is typed with ``--preview`` holds.
    """
    run = settings.run.values
    chosen = settings.one("interpolator")
    assert chosen is not None  # resolve_settings() sees to it
    spec = chosen.stage.spec
    tables: dict[str, dict[str, Any]] = {"run": {"upsampler": "none"}}
    count = getattr(spec, "frames", None)
    if count is None and run.frames and run.frames > FRAMES:
        tables["run"] |= {"frames": FRAMES, "fps": str(Fraction(run.fps) * FRAMES / run.frames)}
    height, width = strip.panels[0].image.shape[:2]
    if spec.needs.size is None and max(width, height) > SIDE:
        scale = SIDE / max(width, height)
        tables["run"]["size"] = "x".join(str(max(2, round(side * scale / 2) * 2)) for side in (width, height))
    if quick := getattr(spec, "preview", None):
        tables[chosen.stage.name] = dict(quick)
    return ConfigLayer(SOURCE, tables)
