"""ToonCrafter's steps: DDIM on predictions of v, with the dynamic rescale."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from animegen_tooncrafter.diffusion.ddim import DDIM
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_torch.diffusion import sampling
from animegen_torch.diffusion.guidance import Guidance
from animegen_torch.diffusion.noise import NoiseSource
from animegen_torch.diffusion.sampling import Predictor, Step


class Steps:
    """The steps of `tables`; see `animegen_torch.diffusion.sampling.Solver`."""

    def __init__(self, schedule: Schedule, tables: DDIM) -> None:
        self.trained = len(schedule)
        self._schedule, self._tables = schedule, tables

    def __len__(self) -> int:
        return len(self._tables)

    def timestep(self, index: int) -> int:
        """What the model is told at a step."""
        return int(self._tables.timesteps[index])

    def step(self, index: int, x: Tensor, prediction: Tensor, fresh: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        """The next latent, and the clean one."""
        schedule, tables = self._schedule, self._tables
        times = torch.full(x.shape[:1], self.timestep(index))
        eps, x0 = schedule.noise(x, prediction, times), schedule.x0(x, prediction, times)
        x0 = x0 * float(tables.scale_prev[index] / tables.scale[index])
        x = float(tables.alphas_prev[index].astype("float32") ** 0.5) * x0 + float(tables.direction(index)) * eps
        x += float(tables.sigmas[index].astype("float32")) * fresh()
        return x, x0


def sample(
    predict: Predictor,
    shape: tuple[int, ...],
    schedule: Schedule,
    tables: DDIM,
    noise: NoiseSource,
    guidance: Guidance | None = None,
    *,
    device: torch.device | str | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """Sample a latent; see `animegen_torch.diffusion.sampling.sample`.

    Args:
        predict: The network, see `Denoiser`; it predicts v.
        shape: (B, 4, T, h, w).
        schedule: Tables of the model.
        tables: Steps, from `DDIM.of`.
        noise, guidance, device, on_step: See there.
    """
    steps = Steps(schedule, tables)
    return sampling.sample(predict, shape, steps, noise, guidance, device=device, on_step=on_step)
