"""Options of the trainer. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from animegen import option
from animegen.errors import UsageError
from animegen_eisai.weights import DTM, RFR, SSL
from animegen_torch.published import ALEX
from animegen_torch.training.options import ValidatedOptions

LEAST_SIDE = 32


@dataclass(frozen=True)
class EisaiTrainingOptions(ValidatedOptions):
    """Options of ``animegen train eisai``; the defaults are those of the released training."""

    begin: str = option(
        "published",
        "What to begin with: published (tune it), or scratch (as released: the features of the published file, all "
        "else random).",
        choices=("published", "scratch"),
    )
    ssl_file: str | None = option(None, "SoftsplatLite of your own to begin with.", file=True)
    dtm_file: str | None = option(None, "Distance-transform module of your own to begin with.", file=True)
    flow_file: str | None = option(None, "RFR of your own: a file of AnimeInterp or of RFR alone.", file=True)
    iterations: int = option(12, "Steps of RFR, where the material has no flows.", min=1, max=64)
    width: int = option(960, "Of the frames.", min=LEAST_SIDE, max=4096, unit="px")
    height: int = option(540, "Of the frames.", min=LEAST_SIDE, max=4096, unit="px")
    mirror: float = option(0.5, "Share of samples that are mirrored.", min=0, max=1)
    reverse: float = option(0.5, "Share of samples whose time runs backwards.", min=0, max=1)
    perceptual: float = option(30.0, "Weight of LPIPS on AlexNet in the loss; 0 leaves it out.", min=0, max=1e6)
    distance: float = option(5.0, "Weight of the distances to lines in the loss.", min=0, max=1e6)
    statistics: bool = option(
        True, "Let the statistics of all batch norms move, those of the frozen features too, as released."
    )
    held_out: float = option(
        0.02,
        "Share of the triplets kept for validation; 0 validates on those it learns from, as released.",
        min=0,
        max=0.5,
    )
    validated: int = option(64, "Most triplets that are looked at in a validation.", min=1, max=100_000)
    batch: int = option(4, "Samples at once on each device; more needs more memory.", min=1, max=4096)
    accumulate: int = option(8, "Batches whose gradients are added up before a step.", min=1, max=4096)
    learning_rate: float = option(1e-3, "Of Adam, at its highest.", min=0, max=1)
    weight_decay: float = option(0.0, "Of AdamW, which without it is Adam.", min=0, max=1)
    clip: float = option(1.0, "Longest gradient (its norm over everything trained); 0 for any.", min=0)
    checkpointing: bool = option(
        False, "Compute activations of the synthesiser twice in place of keeping them: less memory, slower."
    )

    def __post_init__(self) -> None:
        if not self.perceptual and not self.distance:
            raise UsageError("perceptual and distance of eisai are both 0: there is nothing to learn.")


def chosen_weights(options: EisaiTrainingOptions) -> tuple[str, ...]:
    """Names of the published files that a training starts from. (RFR is asked for where the material lacks flows.)"""
    wanted = (
        (SSL, options.ssl_file is None),
        (DTM, options.dtm_file is None and options.begin == "published"),
        (ALEX, options.perceptual > 0),
    )
    return tuple(weight.file for weight, needed in wanted if needed)


ALL_WEIGHTS = (SSL, DTM, RFR, replace(ALEX, purpose="AlexNet, behind the loss of a training", required=False))
