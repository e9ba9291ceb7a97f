"""What this plugin offers: the interpolator and trainer ``eisai``, the dataset ``rrld``. Light: no torch, no numpy."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import DatasetSpec, InterpolatorSpec, Needs, TrainerSpec, hookimpl, option
from animegen_eisai.data import options as data
from animegen_eisai.training import options as training
from animegen_eisai.weights import DTM, RFR, SSL, WEIGHTS
from animegen_torch.training.options import CHANGEABLE

SIZES = ("fitted", "own", "published")


@dataclass(frozen=True)
class EisaiOptions:
    """Options of `eisai`."""

    size: str = option(
        "fitted",
        "Size drawn at: fitted (own shape, short side 540 as in training), own (that of the picture), or published "
        "(960x540 whatever its shape, and everything else as in the authors' script).",
        choices=SIZES,
    )
    refine: bool = option(True, "Refine lines with the distance-transform module; without it, SoftsplatLite alone.")
    iterations: int = option(12, "Steps of the optical flow; 12 is as published.", min=1, max=64)
    headroom: float = option(
        0.0,
        "Share of the range of brightness left free at both ends while drawing; 0.08 helps where plain black or "
        "white frames disturb the motion.",
        min=0,
        max=0.3,
    )
    ssl_file: str | None = option(None, "SoftsplatLite of your own instead of the published one.", file=True)
    dtm_file: str | None = option(None, "Distance-transform module of your own instead.", file=True)
    flow_file: str | None = option(None, "RFR of your own instead: a file of AnimeInterp or of RFR alone.", file=True)


def chosen_weights(options: EisaiOptions) -> tuple[str, ...]:
    """The published files that `options` ask for."""
    wanted = (
        (SSL, options.ssl_file is None),
        (DTM, options.refine and options.dtm_file is None),
        (RFR, options.flow_file is None),
    )
    return tuple(weight.file for weight, needed in wanted if needed)


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return [
        InterpolatorSpec(
            name="eisai",
            target="animegen_eisai.stage:Eisai",
            summary="Frames at any time between two drawings by EISAI, with RFR flow (needs torch and weights).",
            options=EisaiOptions,
            weights=WEIGHTS,
            chosen=chosen_weights,
            needs=Needs(libraries=("torch",)),
            plan="animegen_eisai.plan:plan",
            untrained=True,
            frames=None,
        )
    ]


@hookimpl
def animegen_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="rrld",
            target="animegen_eisai.data.maker:Rrld",
            summary="Triplets of frames with real, steady movement, as EISAI was trained on (needs torch and weights).",
            options=data.RrldOptions,
            weights=(RFR,),
            chosen=data.chosen_weights,
            needs=Needs(libraries=("torch",)),
            material="videos, folders of videos, or folders of frames",
            changeable=data.CHANGEABLE,
        )
    ]


@hookimpl
def animegen_trainers() -> list[TrainerSpec]:
    return [
        TrainerSpec(
            name="eisai",
            target="animegen_eisai.training.trainer:EisaiTrainer",
            summary="Trains EISAI on triplets of frames, such as animegen data rrld finds (needs torch and weights).",
            options=training.EisaiTrainingOptions,
            weights=training.ALL_WEIGHTS,
            chosen=training.chosen_weights,
            needs=Needs(libraries=("torch", "accelerate", "safetensors")),
            material="a folder of triplets: of animegen data rrld, or in ATD-12K's layout",
            changeable=CHANGEABLE,
            launch="animegen_torch.training.machine:launch",
        )
    ]
