"""What this plugin offers: the interpolator ``film``. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import InterpolatorSpec, Needs, hookimpl, option
from animegen.errors import UsageError
from animegen_film.architecture import PUBLISHED
from animegen_film.weights import WEIGHTS

MULTIPLE = PUBLISHED.multiple


@dataclass(frozen=True)
class FilmOptions:
    """Options of `film`."""

    weights: str = option(
        "fp16",
        "Which published file: half or single precision; what it computes in is --dtype's.",
        choices=tuple(WEIGHTS),
    )
    file: str | None = option(
        None,
        "File of parameters of your own instead: safetensors, a .pt of the port, or variables.index of a SavedModel.",
        file=True,
    )
    times: str = option(
        "recursion",
        "How a time is reached: recursion (halving, as the model was trained; its own time only where halves do not "
        "lead there), original (halving alone; other times are refused), direct (flow once a pair; faster, weaker).",
        choices=("recursion", "original", "direct"),
    )
    tile: int | None = option(
        None,
        "Draw in tiles of this side, blended, for less memory; none is the whole picture.",
        min=128,
        max=8192,
        unit="px",
    )
    overlap: int = option(128, "By how much tiles overlap: at least twice the motion.", min=32, max=4096, unit="px")

    def __post_init__(self) -> None:
        if self.tile is None:
            return
        if self.tile % MULTIPLE:
            lower = max(128, self.tile // MULTIPLE * MULTIPLE)
            raise UsageError(
                f"tile of film is {self.tile}; the network takes multiples of {MULTIPLE}.", hint=f"-o film.tile={lower}"
            )
        if self.overlap >= self.tile:
            raise UsageError(
                f"overlap of film is {self.overlap}, its tiles are {self.tile}.", hint="an overlap is less than a tile"
            )


def chosen_weights(options: FilmOptions) -> tuple[str, ...]:
    """The one file that `options` ask for; none where they name a file of the user's own."""
    return () if options.file else (WEIGHTS[options.weights].file,)


@hookimpl
def animegen_interpolators() -> list[InterpolatorSpec]:
    return [
        InterpolatorSpec(
            name="film",
            target="animegen_film.stage:FilmStage",
            summary="Frames between two images that lie far apart, by FILM (needs torch and weights).",
            options=FilmOptions,
            weights=tuple(WEIGHTS.values()),
            chosen=chosen_weights,
            needs=Needs(libraries=("torch", "safetensors")),
            plan="animegen_film.plan:plan",
            untrained=True,
            frames=None,
        )
    ]
