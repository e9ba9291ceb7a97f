"""What a metric answers: asked piece by piece where it allows that, and checked against its record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.errors import StageError
from animegen.measuring import Missing, Quantity, Sample, Value
from animegen.stages import MetricSpec
from animegen_eval.cache import Measured
from animegen_eval.items import Shown
from animegen_eval.samples.pictures import windows

if TYPE_CHECKING:
    from animegen.media import Frames


def measure(spec: MetricSpec, shown: Shown, metric: Callable[[Sample], Any], window: int) -> Measured:
    """The checked answer of a metric, whole or joined from pieces.

    Args:
        spec: The metric's record.
        shown: What it measures.
        metric: What it is asked with.
        window: Bytes of a piece.

    Raises:
        StageError: It answers what its record does not say.
    """
    panels = None if shown.panels is None else shown.panels.array()
    base = Sample(np.empty(0, np.uint8), shown.times, None, panels, shown.ignored, shown.prompt)
    frame = shown.frames.nbytes // max(1, len(shown.frames)) * (2 if shown.reference is not None else 1)
    length = max(2, window // max(1, frame))
    if spec.whole or len(shown.frames) <= length:
        reference = None if shown.reference is None else shown.reference.array()
        return check_scores(
            spec, metric(replace(base, frames=shown.frames.array(), reference=reference)), len(shown.times)
        )
    joined: dict[str, Any] = {}
    start = 0
    for frames, reference in _pieces(shown, length):
        times = shown.times[start : start + len(frames)]
        sample = replace(base, frames=frames, reference=reference, times=times)
        piece = check_scores(spec, metric(sample), len(times))
        joined = _joined(spec, joined, piece) if start else dict(piece)
        start += len(frames) - 1
    return joined


def _pieces(shown: Shown, length: int) -> Iterator[tuple[Frames, Frames | None]]:
    frames = windows(shown.frames, length)
    if shown.reference is None:
        yield from ((piece, None) for piece in frames)
    else:
        yield from zip(frames, windows(shown.reference, length), strict=True)


def _joined(spec: MetricSpec, before: Measured, piece: Measured) -> dict[str, Any]:
    """Two answers as one: they share a frame, and no step."""
    found: dict[str, Any] = {}
    for quantity in spec.quantities:
        one, other = before[quantity.name], piece[quantity.name]
        if isinstance(one, tuple) and isinstance(other, tuple):
            found[quantity.name] = one + other[quantity.scope == "frame" :]
        else:  # missing in one piece, so in all
            found[quantity.name] = one if isinstance(one, Missing) else other
    return found


def check_scores(spec: MetricSpec, answer: object, frames: int) -> Measured:
    """The answer of a metric with a tuple for every series and numbers as float.

    Args:
        spec: The metric's record.
        answer: What it returned.
        frames: How many it was shown.

    Raises:
        StageError: Other names or counts than those of its record, something that is no number, or NaN.
    """
    names = sorted(quantity.name for quantity in spec.quantities)
    if not isinstance(answer, Mapping) or sorted(answer) != names:
        got = sorted(answer) if isinstance(answer, Mapping) else type(answer).__name__
        raise StageError(f"{spec.name} returned {got}; its record names {names}.")
    return {quantity.name: _checked(quantity, answer[quantity.name], frames) for quantity in spec.quantities}


def _checked(quantity: Quantity, values: object, frames: int) -> Value | tuple[Value, ...]:
    if isinstance(values, Missing) or quantity.scope in ("clip", "set"):
        return _number(quantity.name, values)
    wanted = frames if quantity.scope == "frame" else frames - 1
    if not isinstance(values, (Sequence, np.ndarray)) or isinstance(values, str) or len(values) != wanted:
        raise StageError(f"{quantity.name} of {frames} frames: expected {wanted} values, one a {quantity.scope}.")
    return tuple(_number(quantity.name, value) for value in values)


def _number(name: str, value: object) -> Value:
    if isinstance(value, Missing):
        return value
    if not isinstance(value, (float, int, np.floating, np.integer)) or isinstance(value, bool):
        raise StageError(f"{name} is {type(value).__name__}; a metric gives numbers, or says why there is none.")
    if math.isnan(value):
        raise StageError(f"{name} is not a number (NaN).")
    return float(value)
