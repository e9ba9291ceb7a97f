"""How the steps of a training are told: one line in place on a terminal, a line now and then elsewhere, or JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from animegen_cli.console import Console, duration
from animegen_cli.reporters import in_place

if TYPE_CHECKING:
    from animegen.training.records import TrainingStep

_EVERY = {"bar": 0.1, "plain": 10.0, "json": 0.1}
"""Seconds between two lines."""


class TrainingProgress:
    """Called with each step; says nothing where the console's style is ``none``."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._style = console.progress_style
        self._told = -1e9

    def __call__(self, step: TrainingStep) -> None:
        if step.scores and self._style != "none":
            self._validated(step)
        now = time.monotonic()
        if self._style not in _EVERY or (now - self._told < _EVERY[self._style] and step.step < step.steps):
            return
        self._told = now
        if self._style == "json":
            self.console.event(
                "step",
                step=step.step,
                steps=step.steps,
                loss=step.loss,
                learning_rate=step.learning_rate,
                seconds_left=round(step.seconds_left, 1),
            )
            return
        left = f", {duration(step.seconds_left)} to go" if step.step < step.steps else ""
        text = f"[{step.step}/{step.steps}] loss {step.loss:.5f}, rate {step.learning_rate:.3g}{left}"
        if self._style == "bar":
            in_place(text)
        else:
            self.console.line(text)

    def _validated(self, step: TrainingStep) -> None:
        if self._style == "json":
            self.console.event("validation", step=step.step, steps=step.steps, **step.scores)
            return
        if self._style == "bar":
            in_place("")
        scores = ", ".join(f"{name} {value:.5f}" for name, value in step.scores.items())
        self.console.line(f"[{step.step}/{step.steps}] validation: {scores}")

    def close(self) -> None:
        """Leave a clean line behind."""
        if self._style == "bar":
            in_place("")
