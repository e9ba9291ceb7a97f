"""What this plugin offers: LPIPS on three backbones, and CLIP similarities. Light: neither torch nor numpy here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import MetricSpec, Needs, Weight, hookimpl, option
from animegen.measuring import Quantity, Reads
from animegen_torch.published import ALEX

_TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet"
_PYTORCH = "https://download.pytorch.org/models/{}"

VGG16 = Weight(
    file="vgg16-397923af.pth",
    urls=(_PYTORCH.format("vgg16-397923af.pth"),),
    license=_TORCHVISION,
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    size=553_433_881,
    purpose="VGG16, the backbone of lpips-vgg: the usual one for training",
    required=False,
)
SQUEEZE = Weight(
    file="squeezenet1_1-b8a52dc0.pth",
    urls=(_PYTORCH.format("squeezenet1_1-b8a52dc0.pth"),),
    license=_TORCHVISION,
    sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    size=4_958_839,
    purpose="SqueezeNet 1.1, the backbone of lpips-squeeze: the smallest",
    required=False,
)
CLIP = Weight(
    file="open_clip_model.safetensors",
    urls=(
        "hf://timm/vit_base_patch32_clip_224.openai/open_clip_model.safetensors"
        "@a6f597a30f7b82c51704746581f9a4e41421e878",
    ),
    license="MIT (OpenAI CLIP)",
    sha256="e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
    purpose="OpenAI's CLIP ViT-B/32 with the names of OpenCLIP",
)
BACKBONES = {"alex": ALEX, "vgg": VGG16, "squeeze": SQUEEZE}

_REFERENCE: frozenset[Reads] = frozenset({"reference"})
_PANELS: frozenset[Reads] = frozenset({"panels"})
_PROMPT: frozenset[Reads] = frozenset({"prompt"})


@dataclass(frozen=True)
class LpipsOptions:
    """Options of the metrics on LPIPS."""

    batch: int | None = option(
        None, "Frames at once; none is 1 on a processor and 8 elsewhere. Less needs less memory.", min=1, max=256
    )


@dataclass(frozen=True)
class ClipOptions:
    """Options of the metrics on CLIP."""

    crop: str = option(
        "centre",
        "What CLIP sees of a frame: its middle square (centre, as published), or all of it squeezed (square).",
        choices=("centre", "square"),
    )
    others: str | None = option(
        None, "File of other prompts, one a line; clip-text-others is their similarity, the level of chance.", file=True
    )
    batch: int | None = option(
        None, "Frames at once; none is 4 on a processor and 64 elsewhere. Less needs less memory.", min=1, max=1024
    )


def _lpips(net: str, summary: str) -> MetricSpec:
    name = f"lpips-{net}"
    quantities = [
        Quantity(name, "frame", "lower", "", "LPIPS 0.1 of a frame and the true one", _REFERENCE),
        Quantity(f"{name}-step", "step", "lower", "", "LPIPS 0.1 from a frame to the next; falls with the frame rate"),
    ]
    if net == "alex":
        about = "fed values in [0, 1] by mistake, as EISAI's table was; for comparing with it only"
        quantities.insert(1, Quantity(f"{name}-unit-range", "frame", "none", "", about, _REFERENCE))
    return MetricSpec(
        name,
        f"animegen_perceptual.lpips_stage:Lpips{net.capitalize()}",
        summary,
        LpipsOptions,
        weights=(BACKBONES[net],),
        chosen=lambda options, file=BACKBONES[net].file: (file,),  # type: ignore[misc]
        needs=Needs(libraries=("torch", "torchvision", "lpips")),
        quantities=tuple(quantities),
    )


@hookimpl
def animegen_metrics() -> list[MetricSpec]:
    return [
        _lpips("alex", "Perceptual distance of a frame to the true one and to the next, on AlexNet."),
        _lpips("vgg", "Perceptual distance of a frame to the true one and to the next, on VGG16."),
        _lpips("squeeze", "Perceptual distance of a frame to the true one and to the next, on SqueezeNet."),
        MetricSpec(
            "lpips-endpoints",
            "animegen_perceptual.lpips_stage:LpipsEndpoints",
            "Perceptual distance of the first and last frame to their panels, the worse end.",
            LpipsOptions,
            weights=(ALEX,),
            needs=Needs(libraries=("torch", "torchvision", "lpips")),
            quantities=(
                Quantity("endpoint-lpips-alex", "clip", "none", "", "the worse end; what is ignored left out", _PANELS),
            ),
            whole=True,
        ),
        MetricSpec(
            "clip",
            "animegen_perceptual.clip_stage:ClipSimilarity",
            "Cosines of CLIP's embeddings: frames with true frames, panels, each other and the prompt.",
            ClipOptions,
            weights=(CLIP,),
            needs=Needs(libraries=("torch", "open_clip")),
            quantities=(
                Quantity("clip-image", "frame", "higher", "", "cosine with the true frame", _REFERENCE),
                Quantity("clip-image-first", "frame", "none", "", "cosine with the first panel", _PANELS),
                Quantity("clip-image-nearest", "frame", "none", "", "cosine with the nearer panel", _PANELS),
                Quantity("clip-image-step", "step", "none", "", "cosine of a frame with the next"),
                Quantity("clip-text", "frame", "higher", "", "cosine with the prompt", _PROMPT),
                Quantity(
                    "clip-text-others", "frame", "none", "", "mean cosine with other prompts: the level of chance"
                ),
            ),
        ),
        MetricSpec(
            "clip-trajectory",
            "animegen_perceptual.clip_stage:ClipTrajectory",
            "The way of a clip through CLIP's embeddings: how long, how bent, how even, how steady.",
            ClipOptions,
            weights=(CLIP,),
            needs=Needs(libraries=("torch", "open_clip")),
            quantities=(
                Quantity("clip-path-over-chord", "clip", "none", "", "way over direct distance; 1 is straight"),
                Quantity("clip-off-chord", "clip", "none", "", "rms distance from the chord over its length"),
                Quantity("clip-turn-cosine", "clip", "none", "", "mean cosine of a step with the next"),
                Quantity("clip-largest-step-share", "clip", "none", "", "largest step over the way; 1 is a cut"),
                Quantity("clip-step-variation", "clip", "none", "", "deviation of steps over their mean; 0 is even"),
                Quantity(
                    "vbench-background-consistency", "clip", "higher", "", "VBench 0.1.5's; 1 where nothing changes"
                ),
            ),
            whole=True,
        ),
    ]
