"""The few timesteps a clip is sampled at, and the coefficients of each step (DDIM: Song et al., ICLR 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from animegen.errors import UsageError, did_you_mean
from animegen_tooncrafter.diffusion.schedule import Schedule

Spacing = Literal["uniform_trailing", "uniform"]


def timesteps_of(steps: int, spacing: str = "uniform_trailing", timesteps: int = 1000) -> NDArray[np.int64]:
    """The timesteps to sample at, lowest first.

    ``uniform_trailing`` ends at the last timestep, where there is only noise, as sampling starts from; ``uniform``
    ends short of it. Where rounding gives the published sampler a timestep before the first (trailing 61, 103, 121,
    122 ...) or after the last (uniform 3, 9, 27, 36 ...), which it cannot run, that timestep is left out here.

    Returns:
        `steps` of them; for ``uniform`` a few more where `steps` does not divide `timesteps`, as published.

    Raises:
        UsageError: Too few or too many steps, or an unknown spacing.
    """
    if not 1 <= steps <= timesteps:
        raise UsageError(f"{steps} steps cannot be sampled.", hint=f"use 1 to {timesteps} steps; 50 is usual")
    if spacing == "uniform_trailing":
        every = np.flip(np.round(np.arange(timesteps, 0, -timesteps / steps))).astype(np.int64) - 1
    elif spacing == "uniform":
        every = np.arange(0, timesteps, timesteps // steps) + 1
    else:
        names = get_args(Spacing)
        raise UsageError(f"{spacing!r} is no spacing.", hint=f"{did_you_mean(spacing, names)}{' or '.join(names)}")
    return every[(every >= 0) & (every < timesteps)]


@dataclass(frozen=True)
class DDIM:
    """Tables over the steps of one clip; index 0 is the lowest timestep, so that sampling counts down.

    Attributes:
        timesteps: (S,) int64.
        alphas: Signal share at each timestep, (S,) float32.
        alphas_prev: The same at the next lower one; for the first, that of timestep 0. (S,) float64.
        sigmas: How much fresh noise a step adds, (S,) float64.
        scale, scale_prev: Dynamic rescale at each timestep and at the next lower one, (S,) float32.
    """

    timesteps: NDArray[np.int64]
    alphas: NDArray[np.float32]
    alphas_prev: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    scale: NDArray[np.float32]
    scale_prev: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.timesteps)

    @classmethod
    def of(cls, schedule: Schedule, steps: int, spacing: str = "uniform_trailing", eta: float = 1.0) -> DDIM:
        """The tables for `steps` steps; `eta` is 0 without fresh noise and 1 with as much as in training."""
        if not 0 <= eta <= 1:
            raise UsageError(f"eta is {eta:g}.", hint="use 0 (no fresh noise) to 1")
        timesteps = timesteps_of(steps, spacing, len(schedule))
        cumprod = schedule.alphas_cumprod.numpy()
        alphas = cumprod[timesteps]
        previous = np.append(cumprod[:1], cumprod[timesteps[:-1]]).astype(np.float64)
        # The quotient is rounded to float32 half way, as in the published tables: `direction` depends on it.
        inverse = (np.float32(1) / (1 - alphas)).astype(np.float64)
        sigmas = eta * np.sqrt((1 - previous) * inverse * (1 - alphas / previous))
        scale = schedule.scale_arr.numpy()[timesteps]
        return cls(timesteps, alphas, previous, sigmas, scale, np.append(scale[:1], scale[:-1]))

    def direction(self, index: int) -> np.float32:
        """How much of the predicted noise a step keeps: the root of 1 - alpha_prev - sigma².

        With eta 1 and a first step from pure noise that is exactly 0 in theory. float32 makes it -6e-8, 0 or 6e-8
        depending on the number of steps; below 0 the published sampler gives a clip of NaN (20 and 25 steps among
        them). The float32 expression is kept, so that a seed gives the same clip, and stopped at 0.
        """
        sigma = np.float32(self.sigmas[index])
        rest = np.float32(1) - np.float32(self.alphas_prev[index]) - sigma * sigma
        return np.float32(np.sqrt(max(rest, np.float32(0))))
