"""What this plugin offers: the interpolator ``seine``. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import InterpolatorSpec, Needs, Weight, hookimpl, option
from animegen.errors import UsageError
from animegen_seine.weights import BASES, MODEL, all_weights
from animegen_torch.diffusion import options as shared
from animegen_torch.diffusion.clip import ClipModel

SEINE = ClipModel(
    stage="seine",
    title="SEINE",
    multiple=8,  # a latent has one pixel for each 8 × 8
    usual="512×320 is usual",
    sizes="512x320, 512x512 and 560x240 are published",
    map_help='a file holds devices by part: {"unet": "cuda:1", "*": "cuda:0"}',
)
SUFFIX = "smooth transition."


@dataclass(frozen=True)
class ClipOptions:
    """What the clip is to be: which files, and how it is sampled."""

    file: str | None = option(None, "File of SEINE's U-Net of your own instead of the published one.", file=True)
    base: str = option(
        "parts",
        "Where autoencoder and text encoder come from: parts (two files, 0.8 GB) or checkpoint (sd-v1-4.ckpt, 4.3 GB)",
        choices=tuple(BASES),
    )
    autoencoder: str | None = option(
        None, "Autoencoder of Stable Diffusion 1.x of your own, or a whole checkpoint.", file=True
    )
    text_encoder: str | None = option(
        None, "Text encoder (CLIP ViT-L/14) of your own, or a whole checkpoint.", file=True
    )
    sampler: str = option("ddpm", "ddpm as published, or ddim, which needs fewer steps.", choices=("ddpm", "ddim"))
    steps: int = option(
        250,
        "Steps of the sampler; each costs the same time. 250 is as published; ddim makes do with 25 to 50.",
        min=1,
        max=1000,
    )
    eta: float = option(
        0.0, "Fresh noise in each step of ddim: 0 is none, 1 is about as much as in ddpm.", min=0, max=1
    )
    guidance_scale: float = option(
        8.0, "How strongly the prompt is followed; 1 is without guidance, at half the time.", min=0, max=50
    )
    guidance_interval: tuple[float, ...] = shared.guidance_interval()
    prompt_suffix: str = option(SUFFIX, "What is put behind every prompt; as published. Empty for nothing.")
    negative_prompt: str = shared.negative_prompt()
    posterior: str = option(
        "sample",
        "What is taken of the encoder's guess at a latent: a sample, as published, or its mean, without chance.",
        choices=("sample", "mean"),
    )
    noise: str = option(
        "device",
        "Where random numbers are drawn: on the device, or on the cpu, and a seed gives one clip on all devices.",
        choices=("device", "cpu"),
    )
    size: str | None = option(
        None,
        "Width x height that is drawn at, multiples of 8; none is 512x320. 512x512 and 560x240 are published too. "
        "Panels are letterboxed into it, and the clip is brought to the run's --size.",
    )
    keyframes: str = shared.keyframes()


@dataclass(frozen=True)
class SeineOptions(ClipOptions):
    """Options of `seine`."""

    device_map: str = option(
        "auto",
        "single (all on one device), split (U-Net on the second), offload (each part comes when it runs), auto (by "
        "free memory), or a JSON file of your own.",
    )
    guidance: str = option(
        "auto",
        "How the two calls of a step run: together (one batch), apart (half the memory), or auto.",
        choices=("auto", "together", "apart"),
    )
    decoder_frames: int | None = option(None, "Frames that are decoded at once; none is as many as fit.", min=1, max=64)

    def __post_init__(self) -> None:
        SEINE.check_options(size=self.size, guidance_interval=self.guidance_interval, device_map=self.device_map)
        if self.eta and self.sampler != "ddim":
            raise UsageError("eta of seine goes with ddim.", hint="-o seine.sampler=ddim, or leave eta out")

    @property
    def drawn_at(self) -> tuple[int, int] | None:
        """Width and height that `size` names."""
        return SEINE.drawn_at(self.size)

    @property
    def branches(self) -> int:
        """Calls of the U-Net in a step, where guidance is used."""
        return 1 if self.guidance_scale == 1 else 2


def chosen_weights(options: SeineOptions) -> tuple[str, ...]:
    """Names of the published files that a stage with these options loads, the U-Net's first."""
    base: tuple[Weight, ...] = BASES[options.base]
    own = (options.autoencoder, options.text_encoder)
    if len(base) == 1:
        needed: tuple[Weight, ...] = base if None in own else ()
    else:
        needed = tuple(weight for weight, file in zip(base, own, strict=True) if file is None)
    files = tuple(weight.file for weight in needed)
    return files if options.file else (MODEL.file, *files)


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return [
        InterpolatorSpec(
            name=SEINE.stage,
            target="animegen_seine.stage:Seine",
            summary="Sixteen frames in which one scene turns into another, by SEINE (needs torch and weights).",
            options=SeineOptions,
            weights=all_weights(),
            chosen=chosen_weights,
            needs=Needs(
                multiple_of=SEINE.multiple,
                size=(512, 320),
                accelerator_gib=4.0,
                libraries=("torch", "open_clip", "accelerate", "safetensors"),
            ),
            plan="animegen_seine.placement.plan:plan",
            untrained=True,
            frames=SEINE.frames,
            other_counts=True,
            uses_prompt=True,
            uses_seed=True,
            preview={"sampler": "ddim", "steps": 20},
            drawn_at=lambda options: options.drawn_at,
        )
    ]
