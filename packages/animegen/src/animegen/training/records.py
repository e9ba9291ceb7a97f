"""What passes between ``animegen train`` and a trainer. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from animegen.resumable.plan import WorkPlan, WorkResult


@dataclass(frozen=True)
class Order:
    """How a training is to go, whatever is trained.

    Attributes:
        steps: Steps of the optimiser in all, those of earlier runs that are taken up included.
        seed: Start of the random numbers: order of the material, noise, dropout.
        resume: Go on from what the folder holds.
    """

    steps: int
    seed: int = 123
    resume: bool = False


@dataclass(frozen=True)
class TrainingPlan(WorkPlan):
    """What a trainer found and would do; its `summary` is like ``942.3 M of 1487.6 M parameters``.

    Attributes:
        digest: SHA-256 of the material, so that a training is never taken up on another one unnoticed.
    """

    digest: str


@dataclass(frozen=True)
class TrainingStep:
    """One step of the optimiser, just done.

    Attributes:
        step: Its number, from 1.
        steps: How many there will be.
        loss: Mean over its batch.
        learning_rate: What it was made with.
        seconds_left: As far as the steps of this run tell.
        scores: What a validation after it found; empty where there was none.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    seconds_left: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingResult(WorkResult):
    """What a training left.

    Attributes:
        step: Steps done in all.
        loss: Mean over the last steps, None where none was made.
        use: The options of ``animegen run`` that put it to use: ``-o tooncrafter.file=PATH``.
    """

    step: int
    loss: float | None = None
