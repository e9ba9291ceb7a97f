"""The built-in stages: their options and records. Light: nothing here imports numpy or cv2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from animegen.hooks import hookimpl
from animegen.measuring import Quantity, Reads
from animegen.options import option
from animegen.stages import InterpolatorSpec, MetricSpec, StageSpec

PLAN = "animegen.builtin.plans:working_arrays"


@dataclass(frozen=True)
class TeleaOptions:
    """Options of `telea`."""

    radius: float = option(
        3.0, "Pixels around each point that it is filled from; more is smoother.", min=1, max=64, unit="px"
    )
    method: str = option("telea", "Fast marching (Telea) or Navier-Stokes (ns).", choices=("telea", "ns"))


@dataclass(frozen=True)
class FlatOptions:
    """Options of `flat`."""

    ring: int = option(6, "Width of the ring around a hole that is looked at.", min=1, max=64, unit="px")
    tolerance: float = option(
        12.0, "How far a colour of the ring may be from flat; more calls more holes flat.", min=0, max=255
    )
    share: float = option(0.7, "Share of the ring that must be flat; less lets more strokes cross it.", min=0.5, max=1)
    otherwise: str = option(
        "pieces",
        "Filling of a hole on drawing: the rim's tones with clean edges where it has them, else a membrane (pieces); "
        "always smooth, without strokes (membrane); strokes smeared inwards (telea).",
        choices=("pieces", "membrane", "telea"),
    )


@dataclass(frozen=True)
class LabOptions:
    """Options of `lab`."""

    bilateral_diameter: int = option(7, "Width of the bilateral filter; 0 leaves it out.", min=0, max=31, unit="px")
    bilateral_sigma_color: float = option(
        75.0, "Difference that the bilateral filter still smooths; more softens lines.", min=0, max=255
    )
    bilateral_sigma_space: float = option(75.0, "Reach of the bilateral filter's weights.", min=0, max=255, unit="px")
    clahe_clip: float = option(
        2.0, "Contrast limit of CLAHE; more lifts tone and noise too; 0 leaves it out.", min=0, max=40
    )
    clahe_tiles: int = option(8, "Tiles of CLAHE along each side.", min=1, max=64)
    unsharp_amount: float = option(0.5, "Strength of the unsharp mask; 0 leaves it out.", min=0, max=5)
    unsharp_sigma: float = option(1.0, "Blur of the unsharp mask.", min=0.1, max=50, unit="px")


@dataclass(frozen=True)
class DescreenOptions:
    """Options of `descreen`."""

    pitch: float | None = option(
        None, "Distance of the tone's dots or lines; none finds it.", min=1.4, max=32, unit="px"
    )
    local: bool = option(True, "Change only places where tone is found; off filters all of it at one pitch.")
    min_share: float = option(
        0.02, "Share of 64-pixel tiles that must hold tone before anything is changed.", min=0, max=1
    )
    line_contrast: float = option(
        24.0, "Grey levels by which a line is darker than the tone around it.", min=1, max=255
    )


@dataclass(frozen=True)
class FlowOptions:
    """Options of `flow`."""

    lines: float = option(
        0.15, "Part that the distance to drawn lines has in the search for motion; the rest is luma.", min=0, max=1
    )
    crossover: float = option(
        0.6, "Part of the time in which the picture changes over to the last image; less ghosts less.", min=0.05, max=1
    )
    least_found: float = option(
        0.2, "Share of the change that motion must explain; below it the whole is a dissolve.", min=0, max=1
    )


@hookimpl
def animegen_inpainters() -> list[StageSpec]:
    return [
        StageSpec(
            "telea",
            "animegen.builtin.telea:Telea",
            "Fills holes by marching the rim's colours inwards (OpenCV); quick, smears strokes.",
            TeleaOptions,
            plan=PLAN,
        ),
        StageSpec(
            "flat",
            "animegen.builtin.flat:Flat",
            "Fills holes on plain paper or a smooth slope with exactly that; others with the rim's tones.",
            FlatOptions,
            plan=PLAN,
        ),
    ]


@hookimpl
def animegen_preprocessors() -> list[StageSpec]:
    return [
        StageSpec(
            "lab",
            "animegen.builtin.lab:Lab",
            "Bilateral filter, CLAHE and unsharp mask on lightness; lifts contrast, keeps screentone.",
            LabOptions,
            plan=PLAN,
        ),
        StageSpec(
            "descreen",
            "animegen.builtin.descreen:Descreen",
            "Turns screentone into flat grey and keeps lines; leaves pictures without tone as they are.",
            DescreenOptions,
            plan=PLAN,
        ),
    ]


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return [
        InterpolatorSpec(
            "flow",
            "animegen.builtin.flow:Flow",
            "Moves both images along the optical flow between them; dissolves what has no counterpart.",
            FlowOptions,
            plan=PLAN,
            carries_alpha=True,
        ),
        InterpolatorSpec(
            "crossfade",
            "animegen.builtin.crossfade:Crossfade",
            "Dissolves one image into the other: the baseline that others must beat.",
            plan=PLAN,
            carries_alpha=True,
        ),
    ]


@hookimpl
def animegen_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            "psnr",
            "animegen.builtin.metrics:Psnr",
            "Peak signal-to-noise ratio of every frame against the true one.",
            quantities=(_paired("psnr", "higher", "dB", "over RGB, peak 255"),),
        ),
        MetricSpec(
            "interpolation-error",
            "animegen.builtin.metrics:InterpolationError",
            "Distance of every pixel's colour from the true one, as in ATD-12K's tables.",
            quantities=(_paired("interpolation-error", "lower", "levels", "Euclidean over RGB, mean over pixels"),),
        ),
        MetricSpec(
            "ssim",
            "animegen.builtin.metrics:Ssim",
            "Structural similarity of every frame to the true one, by three conventions.",
            quantities=(
                _paired("ssim-wang2004", "higher", "", "the paper's: Gaussian window of 11 px, L = 255"),
                _paired("ssim-skimage", "higher", "", "uniform window of 7 px, sample covariance, L = 255"),
                _paired("ssim-atd12k", "higher", "", "the same with twice the range, as in ATD-12K's tables"),
            ),
        ),
        MetricSpec(
            "line-chamfer",
            "animegen.builtin.metrics:LineChamfer",
            "Distance between the drawn lines of every frame and the true one.",
            quantities=(
                _paired("line-chamfer", "lower", "diagonals", "EISAI's: over all pixels"),
                _paired("line-chamfer-per-line", "lower", "diagonals", "over line pixels"),
            ),
        ),
        MetricSpec(
            "cpbd",
            "animegen.builtin.sharpness:Cpbd",
            "Share of edges whose blur is not noticed; an alarm for blur.",
            quantities=(
                Quantity("cpbd", "frame", "none", "", "Narvekar & Karam 2011"),
                Quantity("cpbd-ratio", "frame", "none", "", "over the mean of the panels", reads=_PANELS),
            ),
        ),
        MetricSpec(
            "endpoints",
            "animegen.builtin.endpoints:Endpoints",
            "How well a clip begins and ends with its panels, the worse end.",
            quantities=(
                Quantity("endpoint-psnr", "clip", "none", "dB", "over RGB, peak 255", reads=_PANELS),
                Quantity("endpoint-line-chamfer", "clip", "none", "diagonals", "EISAI's", reads=_PANELS),
            ),
            whole=True,
        ),
        MetricSpec(
            "transition",
            "animegen.builtin.transition:Transition",
            "What gives a dissolve, a cut, a freeze and a ghost away.",
            quantities=(
                Quantity("blend-residual", "frame", "none", "", "what no mixture of the panels explains", _PANELS),
                Quantity("ghost-ratio", "clip", "none", "", "lines of the middle third over the panels'", _PANELS),
                Quantity("flow-travel", "clip", "none", "", "way over direct way, DIS flow", _PANELS),
                Quantity("largest-step-share", "clip", "none", "", "1 is a cut", _PANELS),
                Quantity("path-over-chord", "clip", "none", "", "of blurred pictures; 1 is a dissolve", _PANELS),
                Quantity("off-palette", "frame", "none", "%", "colours that no panel has", _PANELS),
            ),
            whole=True,
        ),
    ]


_PANELS: frozenset[Reads] = frozenset({"panels"})


def _paired(name: str, better: Literal["lower", "higher"], unit: str, summary: str) -> Quantity:
    """A number for each frame and the true frame of its time."""
    return Quantity(name, "frame", better, unit, summary, reads=frozenset({"reference"}))
