"""What this plugin offers: metrics of clips and of sets of clips. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import MetricSpec, Needs, Weight, hookimpl, option
from animegen.measuring import Quantity, Reads

RAFT = Weight(
    file="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
    urls=("https://download.pytorch.org/models/raft_large_C_T_SKHT_V2-ff5fadd5.pth",),
    license="BSD-3-Clause (torchvision)",
    purpose="RAFT-large of torchvision, the optical flow of warp-raft; of its SHA-256 only ff5fadd5 is published",
)
I3D = Weight(
    file="i3d_pretrained_400.pt",
    urls=(
        "https://huggingface.co/spaces/LanguageBind/Open-Sora-Plan-v1.0.0/resolve/"
        "810fa8c4bdb3a4c8eec9bd57375c29bde6fb46de/opensora/eval/fvd/videogpt/i3d_pretrained_400.pt",
        "https://github.com/JunyaoHu/common_metrics_on_video_quality/raw/main/fvd/videogpt/i3d_pretrained_400.pt",
    ),
    license="Apache-2.0 (kinetics-i3d); trained on Kinetics-400",
    purpose="I3D, whose 400 logits FVD and KVD compare; no digest of it is published",
)

_REFERENCE: frozenset[Reads] = frozenset({"reference"})
_PANELS: frozenset[Reads] = frozenset({"panels"})


@dataclass(frozen=True)
class DisOptions:
    """Options of `warp-dis`."""

    blur: float = option(
        0.0, "Blur of the frames in which motion is sought (not of those compared).", min=0, max=10, unit="px"
    )


@dataclass(frozen=True)
class RaftOptions:
    """Options of `warp-raft`."""

    updates: int = option(12, "Rounds in which the flow is made better; torchvision's own is 12.", min=1, max=64)
    blur: float = option(
        0.0, "Blur of the frames in which motion is sought (not of those compared).", min=0, max=10, unit="px"
    )


@dataclass(frozen=True)
class FvdOptions:
    """Options of `fvd`."""

    preprocess: str = option(
        "square",
        "How frames come to 224 × 224: squeezed (square, as cd-fvd), or the middle square after the shorter side was "
        "brought there (crop, as common_metrics).",
        choices=("square", "crop"),
    )
    covariance: str = option(
        "n-1",
        "Divisor of the covariance: n-1 as the original has it, n as StyleGAN-V and cd-fvd.",
        choices=("n-1", "n"),
    )
    force: bool = option(
        False, "Give FVD of fewer than 256 clips a side too; it then says little but how few they are."
    )
    draws: int = option(100, "Draws of the bootstrap interval of FVD; 0 leaves it out.", min=0, max=10_000)
    subsets: int = option(100, "Random subsets for the deviation of KVD.", min=2, max=10_000)
    subset: int = option(1000, "Clips in such a subset, at most half of a side.", min=2, max=100_000)


def _warp(flow: str, about: str) -> tuple[Quantity, ...]:
    """Quantities of the warping error with the flow of one model."""
    name = f"warp-lai-{flow}"
    rows: tuple[tuple[str, str, str, frozenset[Reads]], ...] = (
        (
            "",
            "",
            f"Lai et al. 2018 with {about} of the clip itself; mean of squares in [0, 1] per channel",
            frozenset(),
        ),
        ("-line", "", "the same within 3 px of drawn lines", frozenset()),
        ("-levelled", "", "the same after each frame's mean colour is taken off", frozenset()),
        ("-true-flow", "", "the same with flow and occlusion of the true clip", _REFERENCE),
        ("-zero-flow", "", "mean square of the plain difference: what standing still would score", frozenset()),
        ("-occluded", "%", "pixels left out, by the rule of Ruder et al. 2016", frozenset()),
        ("-motion", "px", "mean length of the flow; 0 is a frozen clip, which wins the error", frozenset()),
        ("-motion-ratio", "", "over what even motion between the panels would have; below 0.25 distrust it", _PANELS),
    )
    lower = ("", "-line", "-levelled", "-true-flow")
    return tuple(
        Quantity(name + end, "step", "lower" if end in lower else "none", unit, summary, reads)
        for end, unit, summary, reads in rows
    )


_NAMES_OF_FVD = (
    Quantity("fvd-i3d", "set", "lower", "", "Fréchet distance of I3D logits (Unterthiner 2018), symmetric root"),
    Quantity("fvd-i3d-split-half", "set", "none", "", "the same between two halves of the true clips: its bias"),
    Quantity("fvd-i3d-low", "set", "none", "", "2.5th percentile of a bootstrap over clips"),
    Quantity("fvd-i3d-high", "set", "none", "", "97.5th percentile of it"),
    Quantity("kvd-i3d", "set", "lower", "", "squared MMD of the same, cubic kernel, unbiased: it may be negative"),
    Quantity("kvd-i3d-deviation", "set", "none", "", "standard deviation of it over random subsets"),
)


@hookimpl
def animegen_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            "warp-dis",
            "animegen_video_metrics.warp_stage:WarpDis",
            "Warping error with OpenCV's DIS flow, which needs no weights.",
            DisOptions,
            needs=Needs(libraries=("torch", "torchvision")),
            quantities=_warp("dis", "OpenCV's DIS flow"),
        ),
        MetricSpec(
            "warp-raft",
            "animegen_video_metrics.warp_stage:WarpRaft",
            "Warping error with the flow of torchvision's RAFT-large.",
            RaftOptions,
            weights=(RAFT,),
            needs=Needs(libraries=("torch", "torchvision")),
            quantities=_warp("raft", "RAFT-large's flow"),
        ),
        MetricSpec(
            "flicker",
            "animegen_video_metrics.flicker:Flicker",
            "First and second differences in time: of pixels, of brightness, and of what should stand still.",
            quantities=(
                Quantity("luma-d2", "clip", "lower", "levels", "mean second difference of each frame's mean luma"),
                Quantity("flicker-mae", "step", "lower", "levels", "mean absolute difference to the next frame"),
                Quantity("flicker-d2", "clip", "lower", "levels", "mean absolute second difference; motion raises it"),
                Quantity("static-flicker", "clip", "lower", "levels", "flicker-mae where both panels agree", _PANELS),
            ),
            whole=True,
        ),
        MetricSpec(
            "vbench",
            "animegen_video_metrics.vbench:VBench",
            "VBench's steadiness scores, which a cross-fade wins; for comparing with its tables.",
            quantities=(
                Quantity("vbench-temporal-flickering", "clip", "higher", "", "1 - flicker-mae / 255"),
                Quantity(
                    "vbench-motion-smoothness-mean",
                    "clip",
                    "higher",
                    "",
                    "odd frames from their neighbours' mean, which stands for AMT-S",
                ),
                Quantity(
                    "vbench-dynamic-degree-dis", "clip", "none", "", "1 where it moves enough, else 0; DIS for RAFT"
                ),
            ),
            whole=True,
        ),
        MetricSpec(
            "fvd",
            "animegen_video_metrics.fvd_stage:Fvd",
            "Distance of a set of clips from a set of true ones, by what I3D sees in them.",
            FvdOptions,
            weights=(I3D,),
            needs=Needs(libraries=("torch",)),
            quantities=_NAMES_OF_FVD,
            over="set",
            whole=True,
        ),
    ]
