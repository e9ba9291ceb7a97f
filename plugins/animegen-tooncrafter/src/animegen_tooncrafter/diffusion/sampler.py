"""Sampling a clip: from noise, step by step, to the latent that the decoder gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from animegen_tooncrafter.diffusion.ddim import DDIM
from animegen_tooncrafter.diffusion.denoiser import Predictor
from animegen_tooncrafter.diffusion.guidance import Guidance
from animegen_tooncrafter.diffusion.noise import NoiseSource
from animegen_tooncrafter.diffusion.schedule import Schedule


@dataclass(frozen=True)
class Step:
    """One step, done.

    Attributes:
        number: 1 to `total`.
        timestep: Where it was.
        latents: (B, 4, T, h, w) float32, what the next step starts from.
        x0: What the clip would be by now, of the same shape; this is what a preview shows.
    """

    number: int
    total: int
    timestep: int
    latents: Tensor
    x0: Tensor


@torch.inference_mode()
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
    """Sample a latent.

    Latents are float32 from the first noise to the last step, whatever the network computes in.

    Args:
        predict: The network, see `Denoiser`.
        shape: (B, 4, T, h, w).
        schedule: Tables of the model.
        tables: Steps, from `DDIM.of`.
        noise: Its `start` is drawn once and its `step` once in every step.
        guidance: How predictions are combined.
        device: Where latents are; by default where `noise` draws them.
        on_step: Called after each step; it may raise to stop.

    Returns:
        The latent, `shape` float32: what the decoder takes (once divided by the scale factor), not scaled back.
    """
    guidance = guidance or Guidance()
    x = noise.start(shape).to(device, torch.float32)
    total = len(tables)
    for index in reversed(range(total)):
        timestep = int(tables.timesteps[index])
        v = guidance.combine(predict(x, timestep, guidance.branches(timestep / len(schedule))))
        times = torch.full(shape[:1], timestep)
        eps, x0 = schedule.noise(x, v, times), schedule.x0(x, v, times)
        x0 = x0 * float(tables.scale_prev[index] / tables.scale[index])
        x = float(tables.alphas_prev[index].astype("float32") ** 0.5) * x0 + float(tables.direction(index)) * eps
        x += float(tables.sigmas[index].astype("float32")) * noise.step(shape).to(x)
        if on_step is not None:
            on_step(Step(total - index, total, timestep, x, x0))
    return x
