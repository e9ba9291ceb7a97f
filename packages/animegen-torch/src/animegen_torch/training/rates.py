"""Learning rates: a factor for each step, worked out from its number alone, so that nothing of it needs saving."""

from __future__ import annotations

import math

from animegen_torch.training.options import PLATEAU, LoopOptions


def factor(options: LoopOptions, step: int, steps: int) -> float:
    """What the highest rate is multiplied by.

    Args:
        options: `warmup` and `schedule`. (What plateau does depends on more than the number of the step.)
        step: Number of the step, from 0.
        steps: How many there are. Linear and cosine reach nothing with the last one.

    Returns:
        A number in [0, 1]; above 0 for every step.
    """
    if step < options.warmup:
        return (step + 1) / (options.warmup + 1)
    if options.schedule in ("constant", PLATEAU):
        return 1.0
    gone = (step - options.warmup) / max(1, steps - options.warmup)
    return 1 - gone if options.schedule == "linear" else (1 + math.cos(math.pi * gone)) / 2
