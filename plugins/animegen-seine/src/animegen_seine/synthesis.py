"""One clip, from two pictures and a prompt to sixteen frames: which part is given what.

    prompt ────────────────────────────────► text encoder ─► tokens ──────────────────┐
    first, last, grey between ─► encoder ─► latents ─┐                                 │
    which frames are given ──────────────► mask ─────┴► U-Net, step by step ◄──────────┘
                                                         └► latents ─► decoder, frame by frame

Parts are borrowed for as long as they run, so that whoever places them can bring a part in and take it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor

from animegen_seine.conditioning import beside, shown, tokenize, with_suffix
from animegen_seine.diffusion.masks import TRANSITION, frame_mask
from animegen_seine.diffusion.schedule import Schedule, kept_timesteps
from animegen_seine.diffusion.solvers import DDIM, DDPM
from animegen_seine.network.unet import UNet
from animegen_seine.plugin import SEINE
from animegen_torch.diffusion.autoencoder.pictures import Autoencoder
from animegen_torch.diffusion.denoiser import Denoiser
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL, Guidance
from animegen_torch.diffusion.noise import NoiseSource
from animegen_torch.diffusion.parallel import Careful
from animegen_torch.diffusion.sampling import Solver, Step, sample
from animegen_torch.diffusion.text import TextTower
from animegen_torch.placement.lending import Lend, device_of
from animegen_torch.placement.residence import Residence

SCALE = 8.0


@dataclass(frozen=True)
class Parts:
    """The networks of a model."""

    text: Lend[TextTower]
    unet: Lend[UNet]
    first_stage: Lend[Autoencoder]

    @classmethod
    def of(cls, residence: Residence) -> Parts:
        """All of them, to be borrowed."""
        return cls(residence.lend("text"), residence.lend("unet"), residence.lend("first_stage"))


@dataclass(frozen=True)
class Settings:
    """What a user sets; the defaults are those of the published program.

    Attributes:
        sampler, steps, eta: ``ddpm`` or ``ddim``; `eta` is for the latter.
        guidance: How strongly the prompt is followed.
        frames: How many; the model knows 16.
        suffix: What is put behind the prompt.
        negative_prompt: What the clip is guided away from.
        posterior: Whether latents of given frames are drawn (``sample``) or taken as they most likely are (``mean``).
        together: Run the two calls of a step as one batch: more memory, the same result but for rounding.
        decoder_frames: Frames that are decoded at once.
    """

    sampler: str = "ddpm"
    steps: int = 250
    eta: float = 0.0
    guidance: Guidance = field(default_factory=lambda: Guidance(SCALE, 0.0))
    frames: int = SEINE.frames
    suffix: str = "smooth transition."
    negative_prompt: str = ""
    posterior: str = "sample"
    together: bool = True
    decoder_frames: int = 1

    def solver(self) -> Solver:
        """The steps."""
        schedule = Schedule.of(kept_timesteps(self.steps))
        return DDIM(schedule, self.eta) if self.sampler == "ddim" else DDPM(schedule)


def synthesize(
    first: Tensor,
    last: Tensor,
    prompt: str,
    parts: Parts,
    noise: NoiseSource,
    settings: Settings | None = None,
    *,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """Draw a clip in which one picture turns into another.

    Args:
        first, last: (3, H, W) in [-1, 1], sides multiples of 8.
        prompt: What is seen.
        parts: The model.
        noise: Where random numbers come from: for the encoder first, then for the start, then for each step.
        settings: The published ones, where none are given.
        on_step: Called after each step of the sampler.

    Returns:
        (T, 3, H, W) float32, about -1 to 1, not cut. Both ends are decoded like the rest.

    Raises:
        UsageError: Sizes do not fit, or there are too few frames.
    """
    settings = settings or Settings()
    SEINE.check_size(first.shape[-2], first.shape[-1], settings.frames)
    given = encode(first, last, parts, noise, settings)
    tokens = read(prompt, parts, settings)
    latents = denoise(tokens, given, parts, noise, settings, on_step=on_step)
    return decode(latents, parts, settings)


@torch.no_grad()
def read(prompt: str, parts: Parts, settings: Settings) -> dict[str, Tensor]:
    """The text of each branch of guidance, (1, 77, width), on the processor."""
    prompts = {CONDITIONAL: with_suffix(prompt, settings.suffix), UNCONDITIONAL: settings.negative_prompt}
    branches = settings.guidance.branches(settings.guidance.interval[0])
    with parts.text() as text:
        tokens = text(tokenize([prompts[branch] for branch in branches])).cpu()
    return dict(zip(branches, tokens.split(1), strict=True))


@torch.no_grad()
def encode(first: Tensor, last: Tensor, parts: Parts, noise: NoiseSource, settings: Settings) -> Tensor:
    """What the network is told of the frames that are given, (1, 5, T, h, w), on the processor."""
    with parts.first_stage() as autoencoder:
        size = autoencoder.latent_size(*first.shape[-2:])
        draws = noise.posterior((settings.frames, autoencoder.configuration.embed_dim, *size))
        posterior = autoencoder.encode(shown(first, last))
    mask = frame_mask(TRANSITION, settings.frames).to(posterior.mean.device)
    return beside(posterior, mask, draws if settings.posterior == "sample" else None).cpu()


def denoise(
    tokens: Mapping[str, Tensor],
    given: Tensor,
    parts: Parts,
    noise: NoiseSource,
    settings: Settings,
    *,
    on_step: Callable[[Step], None] | None = None,
    on_less: Callable[[str], None] | None = None,
) -> Tensor:
    """The latent of the clip, (1, 4, T, h, w) float32 on the U-Net's device.

    Args:
        on_less: Called with a sentence where the two calls of a step run apart from then on, for want of memory.
    """
    with ExitStack() as stack:
        unet = stack.enter_context(parts.unet())
        device = device_of(unet)
        there = {name: one.to(device) for name, one in tokens.items()}
        predict = Careful(Denoiser(unet, there, given.to(device), together=settings.together), on_less)
        shape = (1, unet.configuration.out_channels, *given.shape[2:])
        return sample(predict, shape, settings.solver(), noise, settings.guidance, device=device, on_step=on_step)


def decode(latents: Tensor, parts: Parts, settings: Settings) -> Tensor:
    """Frames (T, 3, H, W) float32 on the autoencoder's device."""
    with parts.first_stage() as autoencoder:
        return autoencoder.decode(latents[0].transpose(0, 1), at_once=settings.decoder_frames)
