"""What was found in a source while its frames went by: cuts, duplicates, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animegen.upsampling.gaps import Gap, Marked
    from animegen.upsampling.timeline import GapPlan


@dataclass
class Tally:
    """Counts what passes, and hands it on.

    Attributes:
        frames_in: Frames of the source.
        frames_out: Frames of the result.
        drawn: Those of them that are drawn by the stage; the others are frames of the source.
        cuts: Number and time of each frame that begins a shot, the film's first left out.
        duplicates: Frames that repeat the drawing before them.
        held: Gaps in which nothing is drawn, as they lie inside a drawing that stands.
        retimed: Frames that repeated a drawing and became motion.
        length: Seconds that the film lasts.
    """

    frames_in: int = 0
    frames_out: int = 0
    drawn: int = 0
    cuts: list[tuple[int, Fraction]] = field(default_factory=list)
    duplicates: int = 0
    held: int = 0
    retimed_runs: int = 0
    retimed: int = 0
    length: Fraction = Fraction(0)

    def marked(self, frames: Iterable[Marked]) -> Iterator[Marked]:
        for mark in frames:
            self.frames_in += 1
            self.duplicates += mark.duplicate
            if mark.cut:
                self.cuts.append((mark.frame.index, mark.frame.time))
            yield mark

    def gaps(self, gaps: Iterable[Gap]) -> Iterator[Gap]:
        for gap in gaps:
            self.held += gap.reason in ("duplicate", "long hold")
            if not gap.still and len(gap.times) > 1:
                self.retimed_runs += 1
                self.retimed += len(gap.times) - 1
            self.length = gap.end
            yield gap

    def plans(self, plans: Iterable[GapPlan]) -> Iterator[GapPlan]:
        for plan in plans:
            self.frames_out += len(plan.outputs)
            if not plan.gap.still:
                self.drawn += sum(output.t != 0 for output in plan.outputs)
            yield plan

    def facts(self) -> dict[str, Any]:
        """What run.json keeps."""
        return {
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "drawn": self.drawn,
            "seconds": round(float(self.length), 4),
            "length": str(self.length),
            "cuts": [{"frame": index, "time": round(float(time), 4)} for index, time in self.cuts],
            "duplicates": {
                "frames": self.duplicates,
                "held": self.held,
                "retimed_runs": self.retimed_runs,
                "retimed_frames": self.retimed,
            },
        }
