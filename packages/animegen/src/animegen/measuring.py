"""What a metric is shown and what it answers.

Importing this module imports neither numpy nor cv2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from animegen.media import Frames, Mask

Scope = Literal["frame", "step", "clip", "set"]
Reads = Literal["reference", "panels", "prompt"]


@dataclass(frozen=True)
class Quantity:
    """One number that a metric gives, under a name that says which variant it is.

    Attributes:
        name: What tables call it, e.g. ``ssim-wang2004``; lower case, digits and hyphens, unique among all metrics.
        scope: What there is one value of: a frame, a step from a frame to the next, a clip, or a set of clips.
        better: Which direction is better; ``none`` for a diagnostic that must not rank anything.
        unit: Unit, e.g. ``dB``; empty for a bare number.
        summary: Formula or convention in a few words, with its source.
        reads: What must be there beside the frames.
    """

    name: str
    scope: Scope
    better: Literal["lower", "higher", "none"]
    unit: str = ""
    summary: str = ""
    reads: frozenset[Reads] = frozenset()


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip as a metric is shown it.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, T at least 1.
        times: Of the frames, ascending; 0 and 1 are those of the panels.
        reference: True frames at the same times, of the same shape; None where nobody knows them.
        panels: (2, H, W, 3) uint8 RGB: both panels as drawn, at the clip's size; None where there are none.
        ignored: (2, H, W) bool: what of each panel must not count, such as its balloons; None where all counts.
        prompt: What was asked for in words; empty where nothing was.
    """

    frames: Frames
    times: Sequence[float]
    reference: Frames | None = None
    panels: Frames | None = None
    ignored: Mask | None = None
    prompt: str = ""


@dataclass(frozen=True)
class Missing:
    """Why there is no value. Never averaged away: it is counted and told.

    Attributes:
        reason: A sentence for the table.
    """

    reason: str


Value: TypeAlias = float | Missing
Scores: TypeAlias = Mapping[str, "Value | Sequence[Value]"]
"""By name of quantity: T values of scope ``frame``, T - 1 of scope ``step``, one of any other.

Infinite where the formula is, never NaN. Which frames count, and how they are averaged, is the caller's to decide.
"""
Measured: TypeAlias = Mapping[str, "Value | tuple[Value, ...]"]
"""Scores that were checked: a tuple for every series, numbers as float."""
