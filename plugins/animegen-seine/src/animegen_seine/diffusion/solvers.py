"""The two samplers: DDPM (Ho et al., 2020), as published, and DDIM (Song et al., ICLR 2021), for fewer steps.

Both take a prediction of the noise, and neither cuts the clean latent that follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from animegen.errors import UsageError
from animegen_seine.diffusion.schedule import TRAINED, Schedule


class _Steps:
    """What both share; see `animegen_torch.diffusion.sampling.Solver`."""

    trained = TRAINED

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def __len__(self) -> int:
        return len(self.schedule)

    def timestep(self, index: int) -> int:
        """What the network is told at a step."""
        return self.schedule.timesteps[index]

    def _at(self, table: str, index: int) -> float:
        return float(self.schedule.tables[table][index])

    def _clean(self, index: int, x: Tensor, noise: Tensor) -> Tensor:
        """The clean latent, if `noise` is what is noise in `x`."""
        signal, rest = (self._at(f"sqrt_{name}_alphas_cumprod", index) for name in ("recip", "recipm1"))
        return signal * x - rest * noise


class DDPM(_Steps):
    """Ancestral sampling: fresh noise in every step but the last, of the larger of the two fixed variances."""

    def step(self, index: int, x: Tensor, prediction: Tensor, fresh: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        """The next latent, and the clean one."""
        x0 = self._clean(index, x, prediction)
        mean = self._at("posterior_mean_coef1", index) * x0 + self._at("posterior_mean_coef2", index) * x
        noise = fresh()
        if index == 0:
            return mean, x0
        return mean.add_(noise, alpha=math.exp(0.5 * self._at("model_log_variance", index))), x0


class DDIM(_Steps):
    """Without fresh noise at `eta` 0, with about as much as DDPM at 1."""

    def __init__(self, schedule: Schedule, eta: float = 0.0) -> None:
        super().__init__(schedule)
        if not 0 <= eta <= 1:
            raise UsageError(f"eta is {eta:g}.", hint="use 0 (no fresh noise) to 1")
        self.eta = eta

    def step(self, index: int, x: Tensor, prediction: Tensor, fresh: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        """The next latent, and the clean one."""
        x0 = self._clean(index, x, prediction)
        now, next_ = self._at("alphas_cumprod", index), self._at("alphas_cumprod_prev", index)
        sigma = self.eta * math.sqrt((1 - next_) / (1 - now)) * math.sqrt(1 - now / next_)
        result = math.sqrt(next_) * x0 + math.sqrt(max(0.0, 1 - next_ - sigma**2)) * prediction
        noise = fresh()
        return (result.add_(noise, alpha=sigma) if index and sigma else result), x0
