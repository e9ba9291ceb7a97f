"""What this plugin offers: style distances. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from animegen import MetricSpec, Needs, hookimpl, option
from animegen.measuring import Quantity, Reads
from animegen_torch.published import VGG19

LAYERS = ("relu1-1", "relu2-1", "relu3-1", "relu4-1", "relu5-1")
PANELS: frozenset[Reads] = frozenset({"panels"})
NEEDS = Needs(libraries=("torch",))


@dataclass(frozen=True)
class StyleOptions:
    """Options of `style-vgg19`."""

    domain: str | None = option(
        None, "Folder of pictures drawn in the look that is wanted; style-vgg19-domain is the distance to their mean."
    )
    shorter: int = option(
        256, "Shorter side that the network sees at most; more sees finer tone and takes longer.", min=64, unit="px"
    )
    longest: int = option(512, "Longest side that the network sees at most.", min=64, unit="px")


def _quantity(
    name: str,
    summary: str,
    *,
    better: Literal["lower", "none"] = "lower",
    scope: Literal["frame", "clip"] = "frame",
    reads: frozenset[Reads] = PANELS,
) -> Quantity:
    return Quantity(name, scope, better, "", summary, reads)


@hookimpl
def animegen_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            "style-vgg19",
            "animegen_vgg_style.stage:StyleVgg19",
            "Distance of a frame's drawing style to the nearer panel's: centred Gram matrices of VGG19, on luma.",
            StyleOptions,
            weights=(VGG19,),
            needs=NEEDS,
            quantities=(
                _quantity("style-vgg19", "mean over five layers, centred and normalised; 0 equal, 1 unrelated"),
                *(_quantity(f"style-vgg19-{layer}", f"the same at {layer} alone", better="none") for layer in LAYERS),
                _quantity("style-vgg19-classic", "the same from Gram matrices that are not centred", better="none"),
                _quantity("style-vgg19-domain", "to the mean Gram matrices of the folder `domain`", reads=frozenset()),
                _quantity("style-brightness", "difference of mean luma to that panel, of 1", better="none"),
                _quantity("style-contrast", "log ratio of the deviations of luma, without sign", better="none"),
            ),
        ),
        MetricSpec(
            "style-floor",
            "animegen_vgg_style.stage:StyleFloor",
            "Style distance between the two panels themselves: what style-vgg19 is to be read against.",
            StyleOptions,
            weights=(VGG19,),
            needs=NEEDS,
            quantities=(
                _quantity(
                    "style-vgg19-panels", "style-vgg19 of one panel against the other", better="none", scope="clip"
                ),
            ),
            whole=True,
        ),
        MetricSpec(
            "style-frobenius",
            "animegen_vgg_style.stage:StyleFrobenius",
            "Relative change of the Gram matrices of VGG19 in colour at native size, the mean of both panels.",
            weights=(VGG19,),
            needs=NEEDS,
            quantities=(_quantity("style-vgg19-frobenius", "mean over five layers of |G - P| / |P|, P the panel's"),),
        ),
        MetricSpec(
            "style-gram3",
            "animegen_vgg_style.gram3:Gram3",
            "Gram matrix of the three colour channels, of which grey pictures only keep their brightness.",
            needs=NEEDS,
            quantities=(
                _quantity("style-gram3", "mean squared difference of 3 × 3 matrices, the nearer panel", better="none"),
            ),
        ),
    ]
