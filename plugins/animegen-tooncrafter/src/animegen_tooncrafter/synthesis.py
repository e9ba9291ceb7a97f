"""One clip, from two keyframes and a prompt to sixteen frames: which part is given what.

    prompt ─► text tower ─────────────┐
    first ──► image tower ─► projector ┴─► context ──────────────────┐
    first ─┬► encoder ─┬► latents at both ends, zeros between ───────┴► U-Net, step by step ─► latents ─┐
    last ──┘           └► five features of both ────────────────────────────────────────────────────────┴► decoder

The second keyframe reaches the U-Net as a latent only, never through the context.

Parts are borrowed for as long as they run, so that whoever places them can bring a part in and take it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor

from animegen.errors import UsageError
from animegen_tooncrafter.conditioning.image import ImageTower
from animegen_tooncrafter.diffusion.ddim import DDIM
from animegen_tooncrafter.diffusion.denoiser import Denoiser
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.sampler import sample
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.sketch_encoder import SketchGuide
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.first_stage.autoencoder import EncodedKeyframes, FirstStage
from animegen_tooncrafter.first_stage.sweeps import WHOLE, Chunking
from animegen_tooncrafter.plugin import TOONCRAFTER
from animegen_torch.diffusion.guidance import CONDITIONAL, IMAGE_ONLY, UNCONDITIONAL, Guidance
from animegen_torch.diffusion.noise import NoiseSource
from animegen_torch.diffusion.parallel import Careful, Parallel
from animegen_torch.diffusion.sampling import Predictor, Step
from animegen_torch.diffusion.text import TextTower
from animegen_torch.placement.lending import Lend, device_of, lend
from animegen_torch.placement.residence import Residence


@dataclass(frozen=True)
class Parts:
    """The networks of a model, and its schedule.

    Attributes:
        twin: A second U-Net, on another device, which makes all predictions but the conditional one at the same time.
    """

    text: Lend[TextTower]
    image: Lend[ImageTower]
    projector: Lend[Resampler]
    unet: Lend[UNet]
    first_stage: Lend[FirstStage]
    schedule: Schedule
    twin: Lend[UNet] | None = None

    @classmethod
    def of(cls, residence: Residence, schedule: Schedule) -> Parts:
        """All of them, to be borrowed."""
        twin = residence.placement.twin
        return cls(
            text=residence.lend("text"),
            image=residence.lend("image"),
            projector=residence.lend("projector"),
            unet=residence.lend("unet"),
            first_stage=residence.lend("first_stage"),
            schedule=schedule,
            twin=None if twin is None else residence.lend("unet", twin),
        )


@dataclass(frozen=True)
class Settings:
    """What a user sets; the defaults are those of the published program.

    Attributes:
        steps, eta, spacing: Of the sampler, see `DDIM.of`.
        guidance: How strongly prompt and image are followed.
        fps: Frames per second that the motion is meant for, 5 to 30; less is more motion.
        frames: How many; the model knows 16.
        negative_prompt: What the clip is guided away from; the published program has nothing there.
        together: Run the calls of a step as one batch: faster, more memory, the same result but for rounding.
        chunking: How the decoder trades time for memory.
        second_pass: See `FirstStage.decode`.
    """

    steps: int = 50
    eta: float = 1.0
    spacing: str = "uniform_trailing"
    guidance: Guidance = field(default_factory=Guidance)
    fps: int = 10
    frames: int = TOONCRAFTER.frames
    negative_prompt: str = ""
    together: bool = True
    chunking: Chunking = WHOLE
    second_pass: bool = True


@dataclass(frozen=True)
class Conditions:
    """All that is known of a clip before it is sampled; on the processor.

    Attributes:
        tokens: Context (1, 77 + 256, width) by branch of guidance.
        keyframes: Latents and features of both keyframes.
    """

    tokens: Mapping[str, Tensor]
    keyframes: EncodedKeyframes

    def concatenated(self, frames: int) -> Tensor:
        """The latents of the keyframes at both ends of a clip, zeros between: (1, 4, T, h, w)."""
        ends = self.keyframes.latents
        clip = ends.new_zeros(1, ends.shape[1], frames, *ends.shape[2:])
        clip[0, :, 0], clip[0, :, -1] = ends[0], ends[1]
        return clip


def synthesize(
    first: Tensor,
    last: Tensor,
    prompt: str,
    parts: Parts,
    noise: NoiseSource,
    settings: Settings | None = None,
    *,
    clip_image: Tensor | None = None,
    sketch: SketchGuide | Lend[SketchGuide] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """Draw a clip between two keyframes.

    Args:
        first, last: (3, H, W) in [-1, 1], sides multiples of 64.
        prompt: What is seen.
        parts: The model.
        noise: Where random numbers come from; asked in the published order.
        settings: The published ones, where none are given.
        clip_image: What the image tower sees, (3, any height, any width) in [-1, 1], where that is not `first`: the
            published web page shows it the picture before it is cut.
        sketch: Sketches that steer the clip.
        on_step: Called after each step of the sampler.

    Returns:
        (T, 3, H, W) float32, about -1 to 1, not cut. Both ends are decoded like the rest; see
        `animegen_tooncrafter.conditioning.output` for what may follow.

    Raises:
        UsageError: Sizes do not fit, or there are too few frames.
    """
    settings = settings or Settings()
    conditions = condition(first, last, prompt, parts, noise, settings, clip_image=clip_image)
    latents = denoise(conditions, parts, noise, settings, sketch=sketch, on_step=on_step)
    return decode(latents, conditions, parts, settings)


def condition(
    first: Tensor,
    last: Tensor,
    prompt: str,
    parts: Parts,
    noise: NoiseSource,
    settings: Settings,
    *,
    clip_image: Tensor | None = None,
) -> Conditions:
    """The first third of `synthesize`: all but the U-Net and the decoder."""
    check_keyframes(first, last, settings)
    tokens = read(first if clip_image is None else clip_image, prompt, parts, settings)
    return Conditions(tokens, encode(first, last, parts, noise, settings))


@torch.no_grad()
def read(shown: Tensor, prompt: str, parts: Parts, settings: Settings) -> dict[str, Tensor]:
    """The context of each branch of guidance, (1, 77 + 256, width), on the processor; see `condition`."""
    branches = settings.guidance.branches(settings.guidance.interval[0])
    # What each branch reads, and whether it sees the picture or mid grey in its place.
    prompts = {CONDITIONAL: prompt, UNCONDITIONAL: settings.negative_prompt, IMAGE_ONLY: settings.negative_prompt}
    words = sorted({prompts[branch] for branch in branches})
    with parts.text() as text:
        texts = dict(zip(words, text(words).cpu().split(1), strict=True))
    pictures = [shown, torch.zeros_like(shown)][: 2 if UNCONDITIONAL in branches else 1]
    with parts.image() as image:
        patches = image(torch.stack(pictures)).cpu()
    with parts.projector() as projector:
        images = projector(patches.to(projector.latents.device)).cpu()
    return {
        branch: torch.cat(
            (texts[prompts[branch]].to(images), images[-1:] if branch == UNCONDITIONAL else images[:1]), 1
        )
        for branch in branches
    }


@torch.no_grad()
def encode(first: Tensor, last: Tensor, parts: Parts, noise: NoiseSource, settings: Settings) -> EncodedKeyframes:
    """Latents and features of both keyframes, on the processor: nobody needs the features until the clip is sampled."""
    height, width = first.shape[-2:]
    with parts.first_stage() as first_stage:
        shape = (settings.frames, first_stage.configuration.embed_dim, *first_stage.latent_size(height, width))
        encoded = first_stage.encode_keyframes(first, last, noise.posterior(shape))
    return encoded.to(torch.device("cpu"))


def denoise(
    conditions: Conditions,
    parts: Parts,
    noise: NoiseSource,
    settings: Settings,
    *,
    sketch: SketchGuide | Lend[SketchGuide] | None = None,
    twin_sketch: Lend[SketchGuide] | None = None,
    on_step: Callable[[Step], None] | None = None,
    on_less: Callable[[str], None] | None = None,
) -> Tensor:
    """The second third: the latent of the clip, (1, 4, T, h, w) float32 on the U-Net's device.

    Args:
        twin_sketch: The same sketches on the device of the twin.
        on_less: Called with a sentence where branches are run apart from then on, for want of memory.
    """
    tables = DDIM.of(parts.schedule, settings.steps, settings.spacing, settings.eta)
    concatenated = conditions.concatenated(settings.frames)
    branches = tuple(conditions.tokens)
    halves = [branches] if parts.twin is None else [(CONDITIONAL,), tuple(set(branches) - {CONDITIONAL})]
    with ExitStack() as stack:

        def denoiser(lent: Lend[UNet], names: Sequence[str], sketch: Lend[SketchGuide] | None) -> Careful:
            unet = stack.enter_context(lent())
            device = device_of(unet)
            made = Denoiser(
                unet,
                {name: conditions.tokens[name].to(device) for name in names},
                concatenated.to(device),
                settings.fps,
                together=settings.together,
                sketch=None if sketch is None else stack.enter_context(sketch()),
            )
            return Careful(made, on_less)

        first = denoiser(parts.unet, halves[0], lend(sketch) if isinstance(sketch, SketchGuide) else sketch)
        predict: Predictor = first
        if parts.twin is not None and len(halves) > 1 and halves[1]:
            predict = stack.enter_context(Parallel(first, denoiser(parts.twin, halves[1], twin_sketch)))
        return sample(
            predict,
            tuple(concatenated.shape),
            parts.schedule,
            tables,
            noise,
            settings.guidance,
            device=first.device,
            on_step=on_step,
        )


def decode(latents: Tensor, conditions: Conditions, parts: Parts, settings: Settings) -> Tensor:
    """The last third: frames (T, 3, H, W) float32 on the first stage's device."""
    with parts.first_stage() as first_stage:
        # They may come from an encoder in another format; see `stage.ToonCrafter`.
        references = first_stage.references(tuple(one.to(first_stage.dtype) for one in conditions.keyframes.features))
        clip = latents[0].transpose(0, 1)
        return first_stage.decode(clip, references, chunking=settings.chunking, second_pass=settings.second_pass)


def check_keyframes(first: Tensor, last: Tensor, settings: Settings) -> None:
    """Refuse what the model cannot draw, before anything is loaded.

    Raises:
        UsageError: Sizes do not fit, or there are too few frames.
    """
    if first.shape != last.shape:
        raise UsageError(f"The keyframes are {_size(first)} and {_size(last)}.", hint="both need one size")
    TOONCRAFTER.check_size(first.shape[-2], first.shape[-1], settings.frames)


def _size(picture: Tensor) -> str:
    return f"{picture.shape[-1]}×{picture.shape[-2]}"
