"""What this plugin offers: the interpolator ``animeinterp``. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import InterpolatorSpec, Needs, hookimpl, option
from animegen_animeinterp.weights import ANIMEINTERP
from animegen_torch.published import VGG19

PUBLISHED_SIZE = (960, 540)
"""Width and height of the drawings that the authors segmented and drew."""
SIZES = ("own", "published")
STYLES = ("japan", "disney")


@dataclass(frozen=True)
class AnimeInterpOptions:
    """Options of `animeinterp`."""

    matching: bool = option(
        True,
        "Match the regions of both drawings first, for motion too large for the flow alone. Without it, half the "
        "time and no VGG19.",
    )
    style: str = option(
        "japan",
        "How a drawing is smoothed before its lines are sought: japan, or disney (more; for soft shading).",
        choices=STYLES,
    )
    size: str = option(
        "own",
        "Size drawn at: own (that of the pictures), or published (960x540 whatever their shape, as evaluated).",
        choices=SIZES,
    )
    iterations: int = option(12, "Steps of the optical flow; 12 is as published.", min=1, max=64)
    file: str | None = option(None, "File of parameters of your own instead of the published one.", file=True)


def chosen_weights(options: AnimeInterpOptions) -> tuple[str, ...]:
    """The published files that `options` ask for."""
    wanted = ((ANIMEINTERP, options.file is None), (VGG19, options.matching))
    return tuple(weight.file for weight, needed in wanted if needed)


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return [
        InterpolatorSpec(
            name="animeinterp",
            target="animegen_animeinterp.stage:AnimeInterpolator",
            summary="Frames at any time between two drawings by AnimeInterp: regions matched, then moved (needs torch "
            "and weights).",
            options=AnimeInterpOptions,
            weights=(ANIMEINTERP, VGG19),
            chosen=chosen_weights,
            needs=Needs(libraries=("torch",)),
            plan="animegen_animeinterp.plan:plan",
            untrained=True,
            frames=None,
        )
    ]
