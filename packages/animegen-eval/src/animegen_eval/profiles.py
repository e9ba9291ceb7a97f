"""Profiles: everything that decides what a table's numbers mean, by name and by hash.

A profile fixes what is shown, which frames count, how values are averaged (frames, then parts of a clip, then clips),
which quantities rank and which are gates. Tables of different hashes cannot be compared, and `comparing` refuses to.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from animegen.errors import UsageError, did_you_mean
from animegen.pipeline.hashing import json_digest

VERSION = 1
"""Rises with every change of how a profile shows, counts or averages."""

Gate = Literal["at least", "at least real", "at most real", "within real"]


@dataclass(frozen=True)
class GateRule:
    """What a system must pass before it is ranked.

    Attributes:
        quantity: Of scope clip, or the mean of the counted frames.
        rule: ``at least`` a number; or against real clips of the same gap: at least their 5th percentile, at most
            their 95th, or within both.
        number: For ``at least``.
    """

    quantity: str
    rule: Gate
    number: float = 0.0


GATES = (
    GateRule("endpoint-psnr", "at least", 20.0),
    GateRule("blend-residual", "at least real"),
    GateRule("ghost-ratio", "within real"),
    GateRule("flow-travel", "within real"),
    GateRule("largest-step-share", "at most real"),
)
"""SPEC-level gates of a clip between two panels; thresholds without truth are our own."""


@dataclass(frozen=True)
class Profile:
    """How clips are scored.

    Attributes:
        name: As ``--profile`` has it.
        summary: In a sentence.
        headline: Variant of frame-wise numbers that the table shows and ranks by.
        quantities: Quantities that count; none for all that are installed.
        gaps: Frames between the given pictures, for what is cut out of real clips.
        parts: Most parts of one clip for each gap.
        tolerant: Give the time-tolerant value of paired quantities too.
        repeat: How often the repeat control shows each frame where no clip has a higher frame rate.
        gates: See `GateRule`.
        least_clips: Clips of a set below which set metrics are refused.
        needs_real: The inputs are real clips, and systems draw here.
        frames: How many a clip must have; None for any number.
        keep_held: Score parts whose ends are one held drawing, too.
        dataset: Whose layout, subsets and published scores are known: ``atd12k``; empty for clips of any kind.
        in_region: Quantities that are also measured in the marked region of a clip alone.
    """

    name: str
    summary: str
    headline: str = "middles"
    quantities: tuple[str, ...] = ()
    gaps: tuple[int, ...] = ()
    parts: int = 1
    tolerant: bool = True
    repeat: int = 4
    gates: tuple[GateRule, ...] = ()
    least_clips: int = 0
    needs_real: bool = False
    frames: int | None = None
    keep_held: bool = False
    dataset: str = ""
    in_region: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Everything of it, for JSON; with its hash."""
        return {**_plain(asdict(self)), "version": VERSION, "hash": self.hash}

    @property
    def hash(self) -> str:
        """Tells profiles apart that give other numbers."""
        decided = {name: value for name, value in asdict(self).items() if name != "summary"}
        return json_digest({**_plain(decided), "version": VERSION})[:12]


PROFILES = (
    Profile(
        "held-out-middle",
        "Real clips: interpolators are given two frames and scored on the true ones between them.",
        headline="middle",
        gaps=(2, 4, 8, 16),
        parts=4,
        gates=GATES[1:],
        needs_real=True,
    ),
    Profile(
        "two-panel",
        "Clips between two panels, where nobody knows the truth: gates and diagnostics, beside controls.",
        gates=GATES,
    ),
    Profile(
        "atd12k",
        "Triplets as ATD-12K's tables have them, with their conventions by name, by subset, beside published scores.",
        headline="middle",
        quantities=("psnr", "ssim-atd12k", "interpolation-error", "line-chamfer", "lpips-alex-unit-range"),
        gaps=(2,),
        tolerant=False,
        needs_real=True,
        frames=3,
        keep_held=True,
        dataset="atd12k",
        in_region=("psnr", "ssim-atd12k"),
    ),
    Profile(
        "clip-set",
        "One number for a whole set of clips against a set of real ones (FVD, KVD).",
        least_clips=256,
    ),
)


def find_profile(name: str) -> Profile:
    """A profile by its name. Raises UsageError with the nearest one."""
    for profile in PROFILES:
        if profile.name == name:
            return profile
    names = [profile.name for profile in PROFILES]
    raise UsageError(f"no profile is named {name!r}.", hint=f"{did_you_mean(name, names)}Known: {', '.join(names)}.")


def adjusted(profile: Profile, *, gaps: tuple[int, ...] = (), parts: int | None = None) -> Profile:
    """A profile with other gaps or parts, and so another hash.

    Raises:
        UsageError: The profile has none, or a gap is below 2.
    """
    if (gaps or parts) and not profile.gaps:
        raise UsageError(
            f"{profile.name} cuts nothing out of clips, so it has no gaps and no parts.",
            hint="leave --gap and --parts out; with --interpolator NAME, frames are drawn between those of real clips",
        )
    if any(gap < 2 for gap in gaps):
        raise UsageError(f"a gap of {min(gaps)} leaves no frame to draw; the least is 2.", hint="--gap 2")
    return replace(profile, gaps=tuple(sorted(set(gaps))) or profile.gaps, parts=parts or profile.parts)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
