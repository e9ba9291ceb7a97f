"""A quick look at whether a pair works, before the clip that is wanted."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from animegen.options import describe_options
from animegen.settings.layers import ConfigLayer

if TYPE_CHECKING:
    from animegen.media import PanelPair
    from animegen.settings.resolve import Settings

SIDE = 320
"""Longest side of a preview, pixels."""
FRAMES = 9
"""Frames of a preview, where the interpolator makes any number."""
STEPS = 8
"""Sampling steps, for an interpolator that has an option of that name."""


def preview_layer(settings: Settings, pair: PanelPair) -> ConfigLayer:
    """Settings that make the same clip quickly: small, few frames, no upsampling, the same duration.

    A stage made for one size or one number of frames keeps it. The layer stands below the command line, so
    whatever is typed still holds.
    """
    run = settings.run.values
    chosen = settings.one("interpolator")
    assert chosen is not None  # resolve_settings() sees to it
    spec = chosen.stage.spec
    tables: dict[str, dict[str, Any]] = {"run": {"upsampler": "none"}}
    count = getattr(spec, "frames", None)
    if count is None and run.frames and run.frames > FRAMES:
        tables["run"] |= {"frames": FRAMES, "fps": str(Fraction(run.fps) * FRAMES / run.frames)}
    height, width = pair.first.image.shape[:2]
    if spec.needs.size is None and max(width, height) > SIDE:
        scale = SIDE / max(width, height)
        tables["run"]["size"] = "x".join(str(max(2, round(side * scale / 2) * 2)) for side in (width, height))
    if "steps" in {info.name for info in describe_options(spec.options)}:
        tables[chosen.stage.name] = {"steps": min(STEPS, getattr(chosen.options.values, "steps"))}  # noqa: B009
    return ConfigLayer("--preview", tables)
