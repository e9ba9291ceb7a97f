"""Sampling a clip: from noise, step by step, to the latent that the decoder gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from animegen_torch.diffusion.guidance import Guidance
from animegen_torch.diffusion.noise import NoiseSource


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


class Predictor(Protocol):
    """What `sample` calls in each step."""

    def __call__(self, x: Tensor, timestep: int, branches: Sequence[str]) -> Mapping[str, Tensor]:
        """Predictions, float32 like `x` (B, 4, T, h, w), one for each of `branches`; of what, is the model's affair."""
        ...


class Solver(Protocol):
    """The steps of a sampler, counted from the one with the least noise, which comes last."""

    trained: int
    """Timesteps that the model was trained on."""

    def __len__(self) -> int: ...

    def timestep(self, index: int) -> int:
        """What the model is told at a step."""
        ...

    def step(self, index: int, x: Tensor, prediction: Tensor, fresh: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        """The next latent and the clean one that is guessed by now, both of the shape of `x`.

        `fresh` draws noise of that shape; it is to be called once in every step, so that a seed gives one clip
        whichever step is looked at.
        """
        ...


@torch.inference_mode()
def sample(
    predict: Predictor,
    shape: tuple[int, ...],
    solver: Solver,
    noise: NoiseSource,
    guidance: Guidance | None = None,
    *,
    device: torch.device | str | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """Sample a latent.

    Latents are float32 from the first noise to the last step, whatever the network computes in.

    Args:
        predict: The network.
        shape: (B, 4, T, h, w).
        solver: The steps.
        noise: Its `start` is drawn once and its `step` once in every step.
        guidance: How predictions are combined.
        device: Where latents are; by default where `noise` draws them.
        on_step: Called after each step; it may raise to stop.

    Returns:
        The latent, `shape` float32: what the decoder takes (once divided by the scale factor), not scaled back.
    """
    guidance = guidance or Guidance()
    x = noise.start(shape).to(device, torch.float32)
    total = len(solver)
    for index in reversed(range(total)):
        timestep = solver.timestep(index)
        prediction = guidance.combine(predict(x, timestep, guidance.branches(timestep / solver.trained)))
        like = x
        x, x0 = solver.step(index, x, prediction, lambda: noise.step(shape).to(like))  # noqa: B023 - called at once
        if on_step is not None:
            on_step(Step(total - index, total, timestep, x, x0))
    return x
