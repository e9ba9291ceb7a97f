"""What this plugin offers: the interpolator ``tooncrafter``. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import InterpolatorSpec, Needs, TrainerSpec, hookimpl, option
from animegen.errors import UsageError
from animegen_tooncrafter.sketch.options import SketchOptions
from animegen_tooncrafter.training import options as training
from animegen_tooncrafter.weights import MODELS, SKETCH_ENCODERS, all_weights, weights_for
from animegen_torch.diffusion import options as shared
from animegen_torch.diffusion.clip import ClipModel

TOONCRAFTER = ClipModel(
    stage="tooncrafter",
    title="ToonCrafter",
    multiple=64,  # the latent is an eighth, and the U-Net halves it three times
    usual="512×320 is best",
    sizes="512x320 is what the model was trained at; 512x512 works too",
    map_help="what such a file holds: docs/tooncrafter.md",
)
GUIDANCE = ("auto", "together", "apart", "parallel")


@dataclass(frozen=True)
class ClipOptions:
    """What the clip is to be: which model, and how it is sampled."""

    model: str = option(
        "full",
        "Which published file: full (model.ckpt, 10.5 GB), safetensors (the same), fp16 (5.25 GB), or pruned (3.18 GB, "
        "and OpenCLIP's towers beside it).",
        choices=tuple(MODELS),
    )
    file: str | None = option(None, "File of parameters of your own instead, in any of the published forms.", file=True)
    towers: str | None = option(
        None, "File of OpenCLIP ViT-H-14, where `file` holds no towers; none is the published one.", file=True
    )
    steps: int = option(
        50,
        "Steps of the sampler; each costs the same time. 50 is as published, below 20 motion suffers.",
        min=1,
        max=1000,
    )
    eta: float = option(1.0, "Fresh noise in each step: 1 is as in training, 0 is none.", min=0, max=1)
    spacing: str = option(
        "uniform_trailing", "Which of the 1000 timesteps are sampled.", choices=("uniform_trailing", "uniform")
    )
    guidance_scale: float = option(
        7.5,
        "How strongly prompt and first picture are followed; 1 is without guidance, at half the time.",
        min=0,
        max=50,
    )
    guidance_rescale: float = option(0.7, "How far guidance is kept from overexposing: 0 is off.", min=0, max=1)
    image_guidance_scale: float | None = option(
        None,
        "Three-way guidance: this for the picture, guidance_scale for the prompt. Three calls a step.",
        min=0,
        max=50,
    )
    guidance_interval: tuple[float, ...] = shared.guidance_interval()
    motion_fps: int = option(
        10,
        "Frames per second that the motion is meant for, 5 to 30: fewer is larger motion. It is a condition of the "
        "model, not the speed of the clip.",
        min=1,
        max=60,
    )
    negative_prompt: str = shared.negative_prompt()
    noise: str = option(
        "device",
        "Where random numbers are drawn: device as published, or cpu, and a seed gives one clip on all devices.",
        choices=("device", "cpu"),
    )
    size: str | None = option(
        None,
        "Width x height that is drawn at, multiples of 64; none is 512x320, as trained. Panels are letterboxed into "
        "it, and the clip is brought to the run's --size.",
    )
    second_pass: bool = option(
        True, "Decode the two frames in the middle once more, as published; without it decoding takes half the time."
    )
    keyframes: str = shared.keyframes()
    tone: str = option("off", "match takes the drift of brightness and contrast out.", choices=("off", "match"))


@dataclass(frozen=True)
class PlacementOptions:
    """Where the model is, and in how much memory. The clip is the same but for rounding."""

    device_map: str = option(
        "auto",
        "single (all on one device), split (towers and autoencoder on one, U-Net on another), offload (each part comes "
        "when it runs), auto (by free memory), or a JSON file of your own.",
    )
    guidance: str = option(
        "auto",
        "How the calls of a step run: together (one batch), apart (less memory), parallel (two devices), or auto.",
        choices=GUIDANCE,
    )
    decoder_frames: int | None = option(
        None, "Frames that the decoder works on at once; none is as many as fit. Fewer need less memory.", min=1, max=64
    )


@dataclass(frozen=True)
class ToonCrafterOptions(SketchOptions, PlacementOptions, ClipOptions):
    """Options of `tooncrafter`."""

    sketch_model: str = option("full", "Which published sketch encoder.", choices=tuple(SKETCH_ENCODERS))
    sketch_file: str | None = option(None, "Sketch encoder of your own instead.", file=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        TOONCRAFTER.check_options(size=self.size, guidance_interval=self.guidance_interval, device_map=self.device_map)
        if self.towers and not self.file:
            raise UsageError(
                "tooncrafter.towers goes with tooncrafter.file.",
                hint="or -o tooncrafter.model=pruned, which takes the published towers",
            )

    @property
    def drawn_at(self) -> tuple[int, int] | None:
        """Width and height that `size` names."""
        return TOONCRAFTER.drawn_at(self.size)

    @property
    def guided(self) -> bool:
        """Whether a step needs more than one call of the U-Net."""
        return self.guidance_scale != 1 or self.image_guidance_scale not in (None, 1)

    @property
    def branches(self) -> int:
        """Calls of the U-Net in a step, where guidance is used."""
        return 1 if not self.guided else 2 if self.image_guidance_scale is None else 3


def chosen_weights(options: ToonCrafterOptions) -> tuple[str, ...]:
    """Names of the published files that a stage with these options loads."""
    sketch = options.sketch_model if options.sketch and not options.sketch_file else None
    wanted = [weight.file for weight in weights_for(options.model, sketch=sketch)]
    if options.file is not None:
        # Which parts it lacks is seen when it is looked into; the towers are then asked for by name.
        return tuple(wanted[-1:]) if sketch else ()
    return tuple(wanted)


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return [
        InterpolatorSpec(
            name=TOONCRAFTER.stage,
            target="animegen_tooncrafter.stage:ToonCrafter",
            summary="Sixteen drawn frames between two keyframes by ToonCrafter (needs torch and weights).",
            options=ToonCrafterOptions,
            weights=all_weights(),
            chosen=chosen_weights,
            needs=Needs(
                multiple_of=TOONCRAFTER.multiple,
                size=(512, 320),
                accelerator_gib=5.0,
                libraries=("torch", "open_clip", "accelerate", "safetensors"),
            ),
            plan="animegen_tooncrafter.placement.plan:plan",
            untrained=True,
            frames=TOONCRAFTER.frames,
            other_counts=True,
            uses_prompt=True,
            uses_seed=True,
            preview={"steps": 8, "second_pass": False},
            drawn_at=lambda options: options.drawn_at,
        )
    ]


@hookimpl
def animegen_trainers() -> list[TrainerSpec]:
    return [
        TrainerSpec(
            name="tooncrafter",
            target="animegen_tooncrafter.training.trainer:ToonCrafterTrainer",
            summary="Toon rectification: tunes ToonCrafter to the look of your own clips (needs torch and weights).",
            options=training.RectificationOptions,
            weights=all_weights(),
            chosen=training.chosen_weights,
            needs=Needs(accelerator_gib=22.0, libraries=("torch", "open_clip", "accelerate", "safetensors")),
            material="a folder of clips: videos, or folders of pictures",
            changeable=training.CHANGEABLE_OPTIONS,
            launch="animegen_torch.training.machine:launch",
        )
    ]
