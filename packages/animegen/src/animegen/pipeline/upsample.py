"""A clip between two panels, upsampled: the frames of a run's store through the same code as a film."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from animegen.pipeline.store import Entry, Writer
from animegen.stages import InterpolatorSpec
from animegen.upsampling.fill import fill
from animegen.upsampling.frames import luma_of
from animegen.upsampling.gaps import gaps, mark
from animegen.upsampling.timeline import Factor

if TYPE_CHECKING:
    from animegen.media import Image


def upsample(
    name: str,
    spec: InterpolatorSpec,
    before: Entry,
    factor: int,
    progress: Callable[[int, int, str], None],
    stage: Any,
    writer: Writer,
) -> Mapping[str, Any]:
    """`factor` frames for each frame of `before` but the last; whole gaps that a killed run left are kept."""
    intervals = len(before) - 1
    if factor == 1:
        for index in range(len(before)):
            writer.put(index, before.load(index))
        return {"factor": factor}
    done = 0
    while done < intervals and all(writer.has(done * factor + step) for step in range(factor)):
        done += 1
    frames = (_StoredFrame(index, Fraction(index), before) for index in range(len(before)))
    plans = Factor(factor, tail=False).place(gaps(mark(frames)))  # two panels are one shot: no cut is looked for
    for drawn in fill(name, spec, stage, plans, wanted=lambda number: number >= done * factor, bars=False):
        writer.put(drawn.number, drawn.image)
        if drawn.number % factor == factor - 1:
            progress((drawn.number + 1) // factor, intervals, "gaps")
    return {"factor": factor}


@dataclass(frozen=True, eq=False)
class _StoredFrame:
    """A frame of an entry, read when its picture is asked for."""

    index: int
    time: Fraction
    entry: Entry
    duration: Fraction | None = None
    _kept: list[Image] = field(default_factory=list, init=False, repr=False)

    def image(self) -> Image:
        if not self._kept:
            self._kept.append(self.entry.load(self.index))
        return self._kept[0]

    def luma(self) -> Image:
        return luma_of(self.image())
