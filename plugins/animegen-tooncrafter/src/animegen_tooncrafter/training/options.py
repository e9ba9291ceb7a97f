"""Options of the trainer. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import option
from animegen.errors import UsageError
from animegen_tooncrafter.weights import MODELS, weights_for
from animegen_torch.training.options import CHANGEABLE, LoopOptions

VARIANTS = ("rectify", "none", "all", "bypass", "projector")
NUMBERS = {"I": "none", "II": "all", "III": "bypass", "IV": "rectify", "V": "projector"}
"""The paper's numbers for them, in its ablation of toon rectification (section 4.5, table 3)."""
MULTIPLE = 64


@dataclass(frozen=True)
class RectificationOptions(LoopOptions):
    """Options of ``animegen train tooncrafter``; the defaults are those of the published training, for one device."""

    model: str = option("full", "Which published file to start from.", choices=tuple(MODELS))
    file: str | None = option(None, "File of parameters of your own to start from instead.", file=True)
    towers: str | None = option(None, "File of OpenCLIP ViT-H-14, where `file` holds no towers.", file=True)
    variant: str = option(
        "rectify",
        "What learns: rectify (projector and spatial layers, as the paper; IV), all (II), bypass (as rectify, with "
        "layers over time left out; III), projector (V), none (I).",
        choices=(*VARIANTS, *NUMBERS),
    )
    width: int = option(512, "Of the frames; a multiple of 64.", min=MULTIPLE, max=4096, unit="px")
    height: int = option(320, "Of the frames; a multiple of 64.", min=MULTIPLE, max=4096, unit="px")
    least_stride: int = option(
        1, "Frames of a clip are taken each so many frames, drawn evenly from this ...", min=1, max=64
    )
    most_stride: int = option(6, "... to this.", min=1, max=64)
    folder_fps: float = option(
        24.0, "Frames per second of folders of pictures, where no metadata says it.", min=1, max=1000
    )
    cut_threshold: float = option(
        0.47, "How different two frames are at a cut, which no sample spans.", min=0.01, max=1
    )
    drop: float = option(
        0.05,
        "Share of samples without text; as many lose the picture, as many both. Guidance needs it.",
        min=0,
        max=0.3,
    )
    windows: int = option(
        0,
        "Take only so many fixed windows of each clip, and keep on disk what the encoders make of them; 0 draws a new "
        "one each time.",
        min=0,
        max=100_000,
    )
    frozen_half: bool = option(True, "In half precision, keep what does not learn in it too: 1.1 GB less.")
    clip: float = option(0.5, "Longest gradient (its norm over everything trained); 0 for any.", min=0)

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            if getattr(self, name) % MULTIPLE:
                raise UsageError(
                    f"{name} of tooncrafter is {getattr(self, name)}.",
                    hint=f"a multiple of {MULTIPLE}; 512 × 320 is best",
                )
        if self.least_stride > self.most_stride:
            raise UsageError(f"least_stride of tooncrafter is {self.least_stride}, most_stride {self.most_stride}.")
        if self.towers and not self.file:
            raise UsageError("tooncrafter.towers goes with tooncrafter.file.", hint="-o trainer.file=FILE")

    @property
    def variant_name(self) -> str:
        """`variant` by its name, also where the paper's number was given."""
        return NUMBERS.get(self.variant, self.variant)


CHANGEABLE_OPTIONS = (*CHANGEABLE, "frozen_half")


def chosen_weights(options: RectificationOptions) -> tuple[str, ...]:
    """Names of the published files that a training starts from."""
    return () if options.file else tuple(weight.file for weight in weights_for(options.model))
