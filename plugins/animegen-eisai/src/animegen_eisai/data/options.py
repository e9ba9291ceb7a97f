"""Options of the dataset ``rrld``. Light: no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from animegen import option
from animegen.errors import UsageError
from animegen_eisai.weights import RFR

CHANGEABLE = ("segment",)


@dataclass(frozen=True)
class RrldOptions:
    """Options of ``animegen data rrld``; the defaults are those of the released program where it has them."""

    fps: str = option("24", "Rate that videos are brought to: a number, 24000/1001, or source for their own.")
    flow: str = option(
        "rfr",
        "What finds motion: rfr as published; dis (OpenCV, no weights) is some 40 times faster on a processor, and "
        "coarser.",
        choices=("rfr", "dis"),
    )
    flow_file: str | None = option(None, "RFR of your own: a file of AnimeInterp or of RFR alone.", file=True)
    iterations: int = option(12, "Steps of RFR; 12 is as published.", min=1, max=64)
    flows: bool = option(
        True, "Keep the flows between first and last frame too, 8 MB a triplet; without, a training finds them anew."
    )
    reencode: bool = option(
        False,
        "Code videos again before, as the released program does: 1920x1080, HEVC at constant quality. Slow: about 3 "
        "frames a second for each core.",
    )
    fit: str = option(
        "stretch",
        "How a picture of another shape than 16:9 is made 960x540: stretch as published, or crop its middle.",
        choices=("stretch", "crop"),
    )
    cuts: bool = option(True, "Leave out triplets across a cut before looking at their motion; no is as published.")
    cut_threshold: float = option(0.47, "How different two frames are at a cut.", min=0.01, max=1)
    per_shot: int = option(
        0, "Most triplets of one shot, the steadiest ones; 0 keeps all, as the released program.", min=0
    )
    linearity: float = option(0.3, "RRLD below which a movement is steady enough.", min=0, max=10)
    segment: int = option(480, "Slots of a video that are one piece of work; fewer share better.", min=2, max=1_000_000)

    def __post_init__(self) -> None:
        self.rate  # noqa: B018 (raises)
        if self.flow_file and self.flow != "rfr":
            raise UsageError("rrld.flow_file is a file of RFR.", hint="-o rrld.flow=rfr")

    @property
    def rate(self) -> Fraction | None:
        """Slots per second; None for the rate of the source."""
        if self.fps == "source":
            return None
        if re.fullmatch(r"\d+(\.\d+)?(/\d+)?", self.fps):
            try:
                rate = Fraction(self.fps)
            except (ValueError, ZeroDivisionError):
                rate = Fraction(0)
            if 1 <= rate <= 1000:
                return rate
        raise UsageError(f"rrld.fps is {self.fps!r}; it takes 1 to 1000, like 24 or 24000/1001, or source.")


def chosen_weights(options: RrldOptions) -> tuple[str, ...]:
    """The published files that are loaded."""
    return (RFR.file,) if options.flow == "rfr" and options.flow_file is None else ()
