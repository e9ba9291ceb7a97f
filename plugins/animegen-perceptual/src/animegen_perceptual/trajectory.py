"""The way of a clip through a space of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen.measuring import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.measuring import Value

NAMES = (
    "clip-path-over-chord",
    "clip-off-chord",
    "clip-turn-cosine",
    "clip-largest-step-share",
    "clip-step-variation",
)


def trajectory(points: NDArray[np.float64]) -> dict[str, Value]:
    """How long, how bent and how even the way through (T, D) `points` is; a value for each of `NAMES`.

    Straight and even is what a dissolve is: read it beside the clip's flow travel and blend residual.
    """
    if len(points) < 3:
        return dict.fromkeys(NAMES, Missing("a way needs three frames"))
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    way, chord = float(lengths.sum()), float(np.linalg.norm(points[-1] - points[0]))
    still = Missing("nothing changes")
    closed = still if not way else Missing("the clip ends as it begins")
    pairs = lengths[:-1] * lengths[1:]
    turns = (steps[:-1] * steps[1:]).sum(1)[pairs > 0] / pairs[pairs > 0]
    return {
        "clip-path-over-chord": way / chord if chord else closed,
        "clip-off-chord": float(np.sqrt((_off_chord(points) ** 2).mean())) / chord if chord else closed,
        "clip-turn-cosine": float(turns.mean()) if len(turns) else still,
        "clip-largest-step-share": float(lengths.max()) / way if way else still,
        "clip-step-variation": float(lengths.std() / lengths.mean()) if way else still,
    }


def progress(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far along the chord each point is, (T,): 0 at the first, 1 at the last."""
    chord = points[-1] - points[0]
    return np.asarray((points - points[0]) @ chord / (chord @ chord))


def _off_chord(points: NDArray[np.float64]) -> NDArray[np.float64]:
    foot = points[0] + progress(points)[:, None] * (points[-1] - points[0])
    return np.asarray(np.linalg.norm(points - foot, axis=1))


def consistency(units: NDArray[np.float64]) -> Value:
    """VBench 0.1.5's consistency of a clip's embeddings, (T, D) of length 1.

    Of every frame but the first the mean of its cosines with the frame before and with the first, neither below 0.
    """
    if len(units) < 2:
        return Missing("there is one frame only")
    before = np.clip((units[1:] * units[:-1]).sum(1), 0, None)
    first = np.clip(units[1:] @ units[0], 0, None)
    return float(((before + first) / 2).mean())
