"""The noise schedule, and the few of its steps that a clip is sampled at, as the published sampler has them.

Betas rise linearly over 1000 timesteps (Ho et al., 2020), not as in Stable Diffusion, which the network began
from. A sampler of fewer steps keeps some timesteps and works out betas of its own between them (Nichol & Dhariwal,
"Improved Denoising Diffusion Probabilistic Models", 2021), while the network is told the original timestep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from animegen.errors import UsageError
from animegen_torch.diffusion.tables import Table, tables_of

TRAINED = 1000
"""Timesteps of training."""
FIRST_BETA, LAST_BETA = 0.0001, 0.02


@dataclass(frozen=True)
class Schedule:
    """Tables over the steps of one clip; index 0 is the lowest timestep, so that sampling counts down.

    Attributes:
        timesteps: What the network is told at each step.
        tables: By name, each (steps,) float64; see `tables_of`. ``model_log_variance`` is that of the noise which a
            step of DDPM adds: the betas, but for the first the posterior's second (the first is 0).
    """

    timesteps: tuple[int, ...]
    tables: dict[str, Table]

    def __len__(self) -> int:
        return len(self.timesteps)

    @classmethod
    def of(cls, timesteps: Sequence[int]) -> Schedule:
        """The schedule that keeps `timesteps`, ascending."""
        whole = np.cumprod(1 - np.linspace(FIRST_BETA, LAST_BETA, TRAINED))
        before, betas = 1.0, []
        for timestep in timesteps:
            betas.append(1 - whole[timestep] / before)
            before = whole[timestep]
        tables = tables_of(np.array(betas))
        variance = np.append(tables["posterior_variance"][1:2], tables["betas"][1:])
        if len(timesteps) == 1:  # there is no second one, and no noise is added in the only step
            variance = tables["betas"]
        tables["model_log_variance"] = np.log(variance)
        return cls(tuple(timesteps), tables)


def kept_timesteps(steps: int) -> list[int]:
    """`steps` of the 1000 timesteps, evenly spaced from the first to the last.

    Raises:
        UsageError: Too few or too many.
    """
    if not 1 <= steps <= TRAINED:
        raise UsageError(f"{steps} steps cannot be sampled.", hint=f"use 1 to {TRAINED} steps; 250 is as published")
    if steps == 1:
        return [TRAINED - 1]  # where there is only noise, as sampling starts from
    stride = (TRAINED - 1) / (steps - 1)
    place, kept = 0.0, []
    for _ in range(steps):  # a running sum, as published: its rounding decides some timesteps
        kept.append(round(place))
        place += stride
    return kept


def strided_timesteps(steps: int) -> list[int]:
    """Every k-th timestep from the first on, `steps` of them: as in the paper of DDIM; they end short of the last.

    Raises:
        UsageError: No whole k gives as many.
    """
    for stride in range(1, TRAINED):
        kept = list(range(0, TRAINED, stride))
        if len(kept) == steps:
            return kept
    raise UsageError(f"{steps} steps cannot be sampled at one distance.", hint="use 10, 20, 25, 50, 100 or 250")
