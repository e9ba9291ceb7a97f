"""From frames to gaps: which two drawings lie next to each other, and what is between them.

Cartoons are drawn on twos and threes: a drawing is held over several frames. What becomes of the held frames is a
policy: they stay frames like others (``leave``), they stay and nothing is drawn between them (``hold``), or they give
way to true in-betweens while every drawing keeps its time (``retime``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from animegen.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from animegen.upsampling.frames import SourceFrame

Policy = Literal["leave", "hold", "retime"]
Anchor = Literal["first", "centre"]
Reason = Literal["", "cut", "duplicate", "long hold", "end"]

MAX_RUN = 6
"""Frames that one drawing may last and still be motion on twos, threes, ...; a longer one is meant to stand still."""


class Cuts(Protocol):
    """Says of each frame in turn how surely a cut lies before it: `CutDetector`, `GivenCuts`."""

    threshold: float

    def __call__(self, frame: SourceFrame) -> float:
        """Score in [0, 1]; from `threshold` on it is a cut."""


@dataclass(frozen=True, eq=False)
class Marked:
    """A frame, and what it is to the frame before it.

    Attributes:
        frame: The frame.
        cut: A new shot begins with it.
        duplicate: It shows the drawing that was shown before.
        score: How surely a cut lies before it, in [0, 1].
    """

    frame: SourceFrame
    cut: bool = False
    duplicate: bool = False
    score: float = 0.0


@dataclass(frozen=True, eq=False)
class Gap:
    """Two drawings that follow each other, and the time between them.

    Attributes:
        first: The frame it begins with.
        last: The frame it leads to, which belongs to the next gap; None at the end of the film.
        still: Nothing is drawn in it: all of it shows `first`.
        start: When it begins, in seconds: the time of `first`.
        end: When the next gap begins.
        times: Times of all frames of the source in [start, end); more than one where duplicates are retimed.
        reason: Why it is still, or empty.
    """

    first: SourceFrame
    last: SourceFrame | None
    still: bool
    start: Fraction
    end: Fraction
    times: tuple[Fraction, ...]
    reason: Reason = ""


def mark(
    frames: Iterable[SourceFrame],
    cuts: Cuts | None = None,
    duplicates: Callable[[SourceFrame, SourceFrame], bool] | None = None,
) -> Iterator[Marked]:
    """Say of each frame whether a cut lies before it and whether it is a duplicate.

    Args:
        frames: The source, in order.
        cuts: Scores cuts; None where the source is one shot.
        duplicates: ``duplicates(drawing, frame)`` says whether both show the same; None does not look. A frame is
            compared with the first of its run, so that a pan too slow to be seen from one frame to the next is not
            held for ever.
    """
    drawing: SourceFrame | None = None
    for frame in frames:
        score = cuts(frame) if cuts else 0.0
        cut = cuts is not None and drawing is not None and score >= cuts.threshold
        same = not cut and drawing is not None and duplicates is not None and duplicates(drawing, frame)
        if not same:
            drawing = frame
        yield Marked(frame, cut, same, score)


def gaps(
    marked: Iterable[Marked], policy: Policy = "leave", max_run: int = MAX_RUN, anchor: Anchor = "first"
) -> Iterator[Gap]:
    """The gaps between the frames, in order and without holes; no more than a few frames are waited for.

    Every still gap begins with the frame that it shows and is one frame of the source long, so a frame that is kept
    is shown as it is, duplicate or not.

    Args:
        marked: Frames with their marks.
        policy: What becomes of duplicates.
        max_run: ``retime``: a drawing that lasts more frames than this stands still up to its last.
        anchor: ``retime``: the frame of its run at which a drawing is shown exactly: the ``first`` (motion leads to
            the next drawing from there), or the one in the ``centre`` (the earlier of two), which keeps the timing of
            drawings held for unequal numbers of frames.

    Raises:
        UsageError: An unknown policy or anchor, or `max_run` below 1.
    """
    for name, value, known in (("policy", policy, get_args(Policy)), ("anchor", anchor, get_args(Anchor))):
        if value not in known:
            hint = f"{did_you_mean(value, known)}it takes {', '.join(known)}"
            raise UsageError(f"{value!r} is no {name} for duplicates.", hint=hint)
    if max_run < 1:
        raise UsageError(f"max_run is {max_run}; a drawing lasts at least 1 frame.")
    return _retimed(marked, max_run, anchor) if policy == "retime" else _each(marked, policy == "hold")


def _each(marked: Iterable[Marked], hold: bool) -> Iterator[Gap]:
    before: SourceFrame | None = None
    step = Fraction(0)
    for mark in marked:
        frame = mark.frame
        if before is not None:
            step = frame.time - before.time
            yield _between([before], frame, "cut" if mark.cut else "duplicate" if hold and mark.duplicate else "")
        before = frame
    if before is not None:
        yield _end(before, step)


def _retimed(marked: Iterable[Marked], max_run: int, anchor: Anchor) -> Iterator[Gap]:
    left: list[SourceFrame] = []  # from the last frame that is shown exactly to the last of its run
    run: list[SourceFrame] = []  # the newest drawing, while its exact frame is not known; one that stands: its last
    stands = False
    step = Fraction(0)
    newest: SourceFrame | None = None

    def settle() -> Iterator[Gap]:
        """The run is over: show its drawing, and have the rest of it wait for the next."""
        nonlocal left
        exact = (len(run) - 1) // 2 if anchor == "centre" and not stands else 0
        if left:
            yield _between(left + run[:exact], run[exact])
        else:
            yield from _held(run[: exact + 1])
        left = run[exact:]

    for mark in marked:
        frame = mark.frame
        step = frame.time - newest.time if newest is not None else step
        newest = frame
        if mark.duplicate and (run or left):
            if not run:  # anchored at its first frame already
                run, left = left, []
            run.append(frame)
            if stands or len(run) > max_run:
                if left:
                    yield _between(left, run[0])
                yield from _held(run, "long hold")
                left, run, stands = [], [frame], True
            elif anchor == "first":
                left, run = run, []
            continue
        if run:
            yield from settle()
        if mark.cut:
            yield from _held([*left, frame], "duplicate", "cut")
            left = []
        run, stands = [frame], False
        if anchor == "first":
            if left:
                yield _between(left, frame)
            left, run = run, []
    if run:
        yield from settle()
    if left:
        yield from _held(left)
        yield _end(left[-1], step)


def _held(frames: Sequence[SourceFrame], reason: Reason = "duplicate", last: Reason | None = None) -> Iterator[Gap]:
    """Still gaps from each of `frames` to the next."""
    for index, (frame, follower) in enumerate(pairwise(frames)):
        yield _between([frame], follower, last if last and index == len(frames) - 2 else reason)


def _between(frames: Sequence[SourceFrame], last: SourceFrame, reason: Reason = "") -> Gap:
    first = frames[0]
    return Gap(first, last, bool(reason), first.time, last.time, tuple(frame.time for frame in frames), reason)


def _end(frame: SourceFrame, step: Fraction) -> Gap:
    """The last frame, shown for as long as it says, else for as long as the one before."""
    length = frame.duration if frame.duration is not None else step
    return Gap(frame, None, True, frame.time, frame.time + length, (frame.time,), "end")
