"""What this distribution offers to AnimeGen: detectors and their options. Light: no numpy, no cv2."""

from __future__ import annotations

from dataclasses import dataclass

from animegen.hooks import hookimpl
from animegen.options import option
from animegen.stages import DetectorSpec


@dataclass(frozen=True)
class BalloonOptions:
    """Options of the balloon detector."""

    grow: int = option(
        0,
        "Pixels added all around each mask (taken away when negative), after the outline.",
        min=-20,
        max=60,
        unit="px",
    )
    outline: bool = option(
        True, "Take the drawn outline too; without it only the inside is masked and the outline stays standing."
    )
    drawn_text: str = option(
        "block",
        "Annotated lettering that stands in no balloon (sound effects, signs): mask the block it fills, mask its "
        "strokes only, or keep it in the picture.",
        choices=("block", "letters", "keep"),
    )
    min_score: float = option(
        0.5,
        "Without annotation, how sure a balloon must be; larger finds fewer, surer ones, smaller also lone ! and ?.",
        min=0.0,
        max=1.0,
    )


@dataclass(frozen=True)
class PanelOptions:
    """Options of the panel detector."""

    direction: str = option(
        "rtl", "Reading direction: right to left as in Japan, or left to right.", choices=("rtl", "ltr")
    )
    background: str = option(
        "auto", "Colour of the gutters; auto looks at the rim of the page.", choices=("auto", "white", "black")
    )
    threshold: float = option(
        0.6, "How sure a cut between two panels must be; a larger value finds fewer panels.", min=0.3, max=0.95
    )


@hookimpl
def animegen_detectors() -> list[DetectorSpec]:
    return [
        DetectorSpec(
            name="balloons",
            target="animegen_manga.balloons.stage:Balloons",
            summary="Masks of speech balloons, from annotated text boxes or found by their lettering; no weights.",
            options=BalloonOptions,
            finds="balloon",
        ),
        DetectorSpec(
            name="panels",
            target="animegen_manga.panels.stage:Panels",
            summary="Panels of a page in reading order, from gutters and frame lines; no weights.",
            options=PanelOptions,
            finds="panel",
        ),
    ]
