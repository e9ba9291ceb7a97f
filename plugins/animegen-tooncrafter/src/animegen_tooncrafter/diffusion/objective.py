"""What fine-tuning minimises, and which parameters it moves ("toon rectification", ToonCrafter, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from animegen.errors import UsageError, did_you_mean
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.resblock import TemporalConvs
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.transformer import TemporalTransformer
from animegen_tooncrafter.diffusion.unet import UNet

Part = Literal["projector", "spatial", "temporal"]


@dataclass(frozen=True)
class Variant:
    """One way of fine-tuning.

    Attributes:
        trained: Parts whose parameters move.
        bypass: Leave layers over time out while training: frames are then independent.
    """

    trained: frozenset[Part]
    bypass: bool = False


VARIANTS = {
    "none": Variant(frozenset()),
    "all": Variant(frozenset({"projector", "spatial", "temporal"})),
    "bypass": Variant(frozenset({"projector", "spatial"}), bypass=True),
    "rectify": Variant(frozenset({"projector", "spatial"})),
    "projector": Variant(frozenset({"projector"})),
}
"""``rectify`` is the paper's: image projector and spatial layers learn drawings, layers over time keep what they know
of motion. The others are what it compares with: the model as it is, everything tuned, layers over time bypassed while
the others are tuned, and the image projector alone. ``all`` is what the published code does."""


def variant_named(name: str) -> Variant:
    """One of `VARIANTS`.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in VARIANTS:
        names = tuple(VARIANTS)
        raise UsageError(f"There is no variant {name!r}.", hint=f"{did_you_mean(name, names)}{', '.join(names)}")
    return VARIANTS[name]


def temporal_names(unet: UNet) -> set[str]:
    """Names of the U-Net's parameters that belong to layers over time."""
    inside = [name for name, part in unet.named_modules() if isinstance(part, (TemporalConvs, TemporalTransformer))]
    return {f"{part}.{name}" for part in inside for name, _ in unet.get_submodule(part).named_parameters()}


def choose_parameters(unet: UNet, projector: Resampler, variant: Variant) -> Iterator[tuple[str, nn.Parameter]]:
    """Set which parameters need gradients, and give those that do, by their published names.

    Also sets whether the U-Net runs its layers over time.
    """
    unet.temporal = not variant.bypass
    temporal = temporal_names(unet)
    for name, parameter in unet.named_parameters():
        part: Part = "temporal" if name in temporal else "spatial"
        parameter.requires_grad_(part in variant.trained)
        if parameter.requires_grad:
            yield f"model.diffusion_model.{name}", parameter
    for name, parameter in projector.named_parameters():
        parameter.requires_grad_("projector" in variant.trained)
        if parameter.requires_grad:
            yield f"image_proj_model.{name}", parameter


@dataclass(frozen=True)
class Example:
    """Latents of one batch, ready for the network.

    Attributes:
        x0: Clean latents as the dynamic rescale has them at `timesteps`, (B, 4, T, h, w).
        noisy: What the network sees of them.
        target: The v it is to predict.
        timesteps: (B,).
    """

    x0: Tensor
    noisy: Tensor
    target: Tensor
    timesteps: Tensor


def example(schedule: Schedule, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Example:
    """Noise added to scaled latents (B, 4, T, h, w) at `timesteps` (B,), drawn evenly from 0 to 999."""
    x0 = schedule.rescaled(latents, timesteps)
    return Example(x0, schedule.noisy(x0, noise, timesteps), schedule.v(x0, noise, timesteps), timesteps)


def loss(unet: UNet, given: Example, keyframes: Tensor, tokens: Tensor, fs: Tensor | None = None) -> Tensor:
    """Mean squared error of the predicted v, a single number.

    Args:
        given: From `example`.
        keyframes: Latents of first and last frame in place, zeros between; of the shape of the latents, never dropped.
        tokens: Text and image tokens, (B, L, W), dropped as `dropped` says.
        fs: Frames per second, (B,).
    """
    v = unet(torch.cat((given.noisy, keyframes), 1), given.timesteps, tokens, fs)
    return torch.nn.functional.mse_loss(v, given.target.to(v))


def dropped(uniform: Tensor, share: float = 0.05) -> tuple[Tensor, Tensor]:
    """Which samples lose their text and which their image, two (B,) bool, from numbers drawn evenly from [0, 1).

    `share` of them lose the text alone, as many both, as many the image alone: guidance needs all three.
    """
    return uniform < 2 * share, (uniform >= share) & (uniform < 3 * share)
