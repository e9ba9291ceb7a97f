"""The noise schedule: tables over the 1000 timesteps of training, as float32, the precision a checkpoint keeps them in.

Betas rise as the squares of evenly spaced roots (latent diffusion) and are rescaled to zero terminal signal-to-noise
ratio (Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", WACV 2024): the last timestep is pure
noise. The network predicts v (Salimans & Ho, "Progressive Distillation", ICLR 2022). `scale_arr` shrinks the clean
latent by up to `base_scale` as the noise grows, a ramp over the first `turning_step` timesteps (DynamiCrafter).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from animegen_torch.diffusion.tables import Table, tables_of


@dataclass(frozen=True)
class ScheduleConfiguration:
    """What the tables are computed from; the defaults are those of the published 512 model."""

    timesteps: int = 1000
    linear_start: float = 0.00085
    linear_end: float = 0.012
    rescale_betas_zero_snr: bool = True
    base_scale: float = 0.7
    turning_step: int = 400


class Schedule:
    """The tables by their published names, each (timesteps,) float32 on the processor; `scale_arr` is longer.

    Args:
        tables: All 13 of them, as `compute` makes them and as a checkpoint holds them.
    """

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        self.tables = {name: table.detach().to("cpu", torch.float32) for name, table in tables.items()}
        self.alphas_cumprod = self.tables["alphas_cumprod"]
        self.sqrt_alphas_cumprod = self.tables["sqrt_alphas_cumprod"]
        self.sqrt_one_minus_alphas_cumprod = self.tables["sqrt_one_minus_alphas_cumprod"]
        self.scale_arr = self.tables["scale_arr"]

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    @classmethod
    def compute(cls, configuration: ScheduleConfiguration | None = None) -> Schedule:
        """The tables from their definition."""
        return cls(compute_tables(configuration or ScheduleConfiguration()))

    @classmethod
    def of_checkpoint(
        cls, state: Mapping[str, Tensor], configuration: ScheduleConfiguration | None = None
    ) -> tuple[Schedule, list[str]]:
        """The tables that a checkpoint holds, and the names of those that are not what `configuration` gives.

        The file's tables are the ones a model was sampled with, so they count even where they differ; a half-precision
        file has lost digits of them, though, and a pruned one may hold none: those are computed.
        """
        tables = compute_tables(configuration or ScheduleConfiguration())
        different = []
        for name, table in tables.items():
            kept = state.get(name)
            if kept is None or kept.dtype in (torch.float16, torch.bfloat16):
                continue
            kept = kept.detach().to("cpu", torch.float32)
            if kept.shape != table.shape or not torch.allclose(kept, table, rtol=1e-4, atol=1e-6):
                different.append(name)
            tables[name] = kept
        return cls(tables), different

    def at(self, table: Tensor, timesteps: Tensor, like: Tensor) -> Tensor:
        """Entries of `table` at `timesteps` (B,), shaped to multiply `like` (B, ...)."""
        values = table[timesteps.to("cpu")].to(like.device)
        return values.reshape(-1, *[1] * (like.ndim - 1))

    def noisy(self, x0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The latent `x0` (B, ...) with as much of `noise` as `timesteps` (B,) have."""
        return self._mix(x0, noise, timesteps, 1)

    def v(self, x0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the network is to predict for `x0` and `noise`."""
        return self._mix(noise, x0, timesteps, -1)

    def x0(self, x: Tensor, v: Tensor, timesteps: Tensor) -> Tensor:
        """The clean latent that belongs to the noisy `x` and a prediction `v`."""
        return self._mix(x, v, timesteps, -1)

    def noise(self, x: Tensor, v: Tensor, timesteps: Tensor) -> Tensor:
        """The noise that belongs to the noisy `x` and a prediction `v`."""
        return self._mix(v, x, timesteps, 1)

    def rescaled(self, x0: Tensor, timesteps: Tensor) -> Tensor:
        """The latent made smaller as the dynamic rescale has it at `timesteps`."""
        return x0 * self.at(self.scale_arr, timesteps, x0)

    def _mix(self, signal: Tensor, other: Tensor, timesteps: Tensor, sign: int) -> Tensor:
        a = self.at(self.sqrt_alphas_cumprod, timesteps, signal)
        b = self.at(self.sqrt_one_minus_alphas_cumprod, timesteps, signal)
        return a * signal + (sign * b) * other


def compute_tables(configuration: ScheduleConfiguration) -> dict[str, Tensor]:
    """All tables by name, computed in float64 and rounded once."""
    roots = np.linspace(configuration.linear_start**0.5, configuration.linear_end**0.5, configuration.timesteps)
    betas = roots**2
    if configuration.rescale_betas_zero_snr:
        betas = zero_terminal_snr(betas)
    tables = tables_of(betas)
    # Without signal at the end these two are infinite; v-prediction does not read them, and files hold zeros.
    for name in ("sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod"):
        tables[name] = np.zeros_like(betas)
    ramp = np.linspace(1.0, configuration.base_scale, configuration.turning_step)
    tables["scale_arr"] = np.append(ramp, np.full(configuration.timesteps, configuration.base_scale))
    return {name: torch.from_numpy(table.astype(np.float32)) for name, table in tables.items()}


def zero_terminal_snr(betas: Table) -> Table:
    """Betas stretched so that the last timestep holds no signal and the first one what it held."""
    root = np.sqrt(np.cumprod(1 - betas))
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    cumprod = root**2
    return 1 - np.append(cumprod[:1], cumprod[1:] / cumprod[:-1])
