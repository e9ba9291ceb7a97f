"""An average of parameters over the steps of a training (exponential moving average)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Average:
    """``average = decay · average + (1 - decay) · parameter`` after each step, in float32.

    In the first steps `decay` is held down to ``(1 + n) / (10 + n)``, so that the beginning is soon forgotten.

    Args:
        parameters: What is trained, by name; the average starts as they are.
        decay: Share of the average that stays, in [0, 1).
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().float().clone() for name, tensor in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: Mapping[str, Tensor], step: int) -> None:
        """Take in the parameters after step `step` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = [parameters[name].detach().float() for name in self.tensors]
        torch._foreach_lerp_(list(self.tensors.values()), now, 1 - decay)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from saved averages."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])
