"""What this plugin offers: the interpolator ``rife``. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import InterpolatorSpec, Needs, hookimpl, option
from animegen.errors import UsageError
from animegen_rife.architecture import VERSIONS as ARCHITECTURE_OF
from animegen_rife.architecture import Architecture
from animegen_rife.weights import DEFAULT, VERSIONS, all_weights, weight_of

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class RifeOptions:
    """Options of `rife`."""

    model: str = option(
        "auto",
        f"Version of the network; auto is {DEFAULT}, or whatever `file` holds.",
        choices=("auto", *VERSIONS),
    )
    file: str | None = option(
        None, "File of parameters of your own instead; its version is seen from what is in it.", file=True
    )
    source: str = option(
        "preferred",
        "Which published file of the version: preferred (one with a pinned digest, safetensors first), or the pickle "
        "of the vs-rife release.",
        choices=("preferred", "vs-rife"),
    )
    scale: float = option(
        1.0,
        "Size at which motion is sought; 0.5 for 4K, 2 for small pictures with little motion.",
        choices=SCALES,
    )
    ensemble: bool = option(False, "Go both ways and average: twice the time (up to 4.20, and 4.24).")
    multiple: int | None = option(
        None,
        "Sides are padded to a multiple of this; none is what the version needs at this scale (32, 64 or 128). "
        "Changes the rim a little; 64 or 128 give what other programs give.",
        min=32,
        max=1024,
        unit="px",
    )
    batch: int | None = option(
        None, "Times of a pair drawn at once; none is as many as are worth it. Less needs less memory.", min=1, max=64
    )
    compile: bool = option(False, "Compile the network first (torch.compile): minutes at the start, faster after.")

    def __post_init__(self) -> None:
        if self.version is not None:
            check_fits(self, ARCHITECTURE_OF[self.version], self.version)

    @property
    def version(self) -> str | None:
        """The version asked for; None where it is whatever `file` holds."""
        if self.model != "auto":
            return self.model
        return None if self.file else DEFAULT


def check_fits(options: RifeOptions, architecture: Architecture, version: str) -> None:
    """Whether a network can do what `options` ask for.

    Raises:
        UsageError: It has no ensemble, or cannot work on sides of that multiple.
    """
    if options.ensemble and not architecture.ensemble:
        raise UsageError(
            f"rife {version} has no ensemble.",
            hint=("leave rife.ensemble out", f"or take a version that has it, -o rife.model=4.6: {_with_ensemble()}"),
        )
    if options.multiple is not None and options.multiple % architecture.multiple:
        raise UsageError(
            f"multiple of rife is {options.multiple}; version {version} takes multiples of {architecture.multiple}.",
            hint="leave it out, and it is what the version needs",
        )


def _with_ensemble() -> str:
    return ", ".join(version for version in VERSIONS if ARCHITECTURE_OF[version].ensemble)


def chosen_weights(options: RifeOptions) -> tuple[str, ...]:
    """The one file that `options` ask for; none where they name a file of the user's own."""
    return () if options.file or options.version is None else (weight_of(options.version, options.source).file,)


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return [
        InterpolatorSpec(
            name="rife",
            target="animegen_rife.stage:Rife",
            summary="Frames at any time between two images by RIFE 4.0 to 4.26 (needs torch and weights).",
            options=RifeOptions,
            weights=all_weights(),
            chosen=chosen_weights,
            needs=Needs(libraries=("torch", "safetensors")),
            untrained=True,
            frames=None,
            carries_alpha=True,
        )
    ]
