"""What passes between ``animegen train`` and a trainer. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animegen.stages import Demand


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
class TrainingPlan:
    """What a trainer found and would do.

    Attributes:
        summary: What is trained, in a line: ``942.3 M of 1487.6 M parameters``.
        material: What was found, in a line: ``12 clips, 1,380 frames``.
        digest: SHA-256 of the material, so that a training is never taken up on another one unnoticed.
        demands: Memory by device.
        hint: What to set for less memory, shown where there is too little.
        lines: Further (label, text) for the plan.
        warnings: What the user should know before it begins.
        facts: Plain values for train.json.
    """

    summary: str
    material: str
    digest: str
    demands: tuple[Demand, ...] = ()
    hint: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


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
class TrainingResult:
    """What a training left.

    Attributes:
        files: What was learnt, the file to use first.
        step: Steps done in all.
        loss: Mean over the last steps, None where none was made.
        use: The options of ``animegen run`` that put it to use: ``-o tooncrafter.file=PATH``.
        facts: Plain values for train.json.
    """

    files: tuple[Path, ...]
    step: int
    loss: float | None = None
    use: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
