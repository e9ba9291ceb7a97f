"""What a metric answers: asked piece by piece where it allows that, and checked against its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.measuring import Measured, Missing, Sample
from animegen.pipeline.boundary import check_scores
from animegen.stages import MetricSpec
from animegen_eval.items import Shown
from animegen_eval.samples.pictures import windows

if TYPE_CHECKING:
    from animegen.media import Frames


def measure(name: str, spec: MetricSpec, shown: Shown, metric: Callable[[Sample], Any], window: int) -> Measured:
    """The checked answer of a metric, whole or joined from pieces.

    Args:
        name: Full name of the metric.
        spec: Its record.
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
        sample = replace(base, frames=shown.frames.array(), reference=reference)
        return check_scores(name, metric(sample), spec.quantities, len(shown.times))
    joined: dict[str, Any] = {}
    start = 0
    for frames, reference in _pieces(shown, length):
        times = shown.times[start : start + len(frames)]
        sample = replace(base, frames=frames, reference=reference, times=times)
        piece = check_scores(name, metric(sample), spec.quantities, len(times))
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
