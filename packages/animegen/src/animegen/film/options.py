"""What an upsampling is asked to do: the table ``[upsample]``, the stage that draws, and where each value came from.

Light: neither numpy nor a video library is imported here, so that the command line can be built from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from animegen.errors import AnimeGenError, UsageError
from animegen.options import Layer, Resolved, describe_options, option, resolve
from animegen.registry import Registry
from animegen.settings.layers import ConfigLayer, check_tables
from animegen.settings.resolve import (
    DTYPES,
    Choice,
    RunOptions,
    Settings,
    check_any_time,
    choose,
    named_devices,
    parse_fps,
    table_names,
)
from animegen.settings.roles import ROLES, Role
from animegen.weights.store import WeightStore

TABLE = "upsample"
ROLE: Role = "upsampler"
FORMATS = ("auto", "mp4", "mkv", "webp", "gif", "apng", "frames")
DEFAULT_FACTOR = 2
BEST, BUILT_IN = "rife", "flow"
_SHARED = ("device", "dtype")  # what [run] says of the machine holds here too


@dataclass(frozen=True)
class UpsampleOptions:
    """Options of an upsampling; the table ``[upsample]``."""

    upsampler: str = option("auto", "Draws the new frames: any interpolator for any time; auto is rife if it can.")
    factor: int | None = option(None, "Frames for each frame of the source; 2 without --fps.", min=2, max=1024)
    fps: str | None = option(None, "Frames per second instead: a number or a fraction like 60000/1001.")
    source_fps: str | None = option(None, "Frames per second of a folder of pictures, which does not say.")
    cuts: str = option("auto", "Frames that start a scene: auto (found), none, numbers like 12,57, or a file of them.")
    cut_threshold: float | None = option(
        None,
        "How different two frames are at a cut; less finds more. None for the detector's own.",
        min=0,
        max=1,
    )
    duplicates: str = option(
        "leave", "Repeated drawings: leave as frames, hold, or retime into motion.", choices=("leave", "hold", "retime")
    )
    max_run: int = option(6, "With retime: a drawing that stands for more frames than this stays.", min=1, max=10_000)
    anchor: str = option(
        "first", "With retime: when a drawing is exact, in the run it stands for.", choices=("first", "centre")
    )
    device: str = option("auto", "auto, cpu, cuda:0, or several, which share the film: cuda:0,cuda:1.")
    dtype: str = option("auto", "Number format on the device.", choices=DTYPES)
    format: str = option(
        "auto", "mkv and apng are lossless, frames are PNGs; auto is mp4, or mkv for alpha.", choices=FORMATS
    )
    quality: int = option(90, "Of mp4 and webp; 90 is CRF 16.", min=1, max=100)
    tracks: bool = option(True, "Copy sound, subtitles, chapters and tags.")
    eight_bit: bool = option(False, "Take a source of more than 8 bits a channel, and reduce it to 8.")
    max_pixels: int = option(100_000_000, "Largest picture that is read, as width times height.", min=1, unit="px")

    @property
    def times(self) -> int:
        """`factor`, or its default."""
        return self.factor or DEFAULT_FACTOR

    @property
    def rate(self) -> Fraction | None:
        """`fps` as an exact fraction; None where a factor is meant."""
        return None if self.fps is None else parse_fps(self.fps, f"{TABLE}.fps")

    @property
    def source_rate(self) -> Fraction | None:
        """`source_fps` as an exact fraction."""
        return None if self.source_fps is None else parse_fps(self.source_fps, f"{TABLE}.source_fps")

    @property
    def devices(self) -> tuple[str, ...]:
        """Each device, one worker for each."""
        return named_devices(self.device)


@dataclass(frozen=True)
class UpsampleSettings:
    """Everything an upsampling is asked to do, resolved and checked; nothing heavy has been imported.

    Attributes:
        options: The table with the source of each value.
        choice: The stage that draws.
        why: Why this stage, where nobody named one; else empty.
    """

    options: Resolved[UpsampleOptions]
    choice: Choice
    why: str = ""

    @property
    def values(self) -> UpsampleOptions:
        return self.options.values

    def on(self, device: str) -> Settings:
        """The settings of a session that draws on one device."""
        run = resolve(RunOptions, [Layer(TABLE, {"device": device, "dtype": self.values.dtype})])
        return Settings(run, {role: ((self.choice,) if role == ROLE else ()) for role in ROLES})

    def tables(self) -> dict[str, dict[str, Any]]:
        """The tables that make these settings again, every value written out."""
        table = {name: entry["value"] for name, entry in self.options.as_record().items()}
        stage = {name: entry["value"] for name, entry in self.choice.options.as_record().items()}
        return {TABLE: {**table, "upsampler": self.choice.stage.full_name}, ROLE: stage}


def resolve_upsampling(
    registry: Registry, layers: Sequence[ConfigLayer], weights: WeightStore | None = None
) -> UpsampleSettings:
    """Gather settings from `layers`, weakest first.

    Raises:
        UsageError: An unknown table, stage or option, a bad value, a stage that cannot upsample, or both a factor and
            a rate from one place.
        MissingError: A stage of a plugin that did not load.
    """
    known = table_names(registry)
    for layer in layers:
        check_tables(layer, known)
    options = resolve_table(layers)
    name, why = options.values.upsampler, ""
    if name in ("none", ""):
        raise UsageError("upsampling needs a stage that draws.", hint="for example: --with flow")
    if name == "auto":
        name, why = _best(registry, layers, weights or WeightStore())
    (choice,) = choose(registry, ROLE, name, options.sources["upsampler"], layers)
    check_any_time(choice)
    return UpsampleSettings(options, choice, why)


def resolve_table(layers: Sequence[ConfigLayer]) -> Resolved[UpsampleOptions]:
    """The table alone, from `layers`, weakest first. Raises UsageError as `resolve_upsampling` does."""
    options = resolve(UpsampleOptions, _layers(layers), name=TABLE)
    _ = options.values.rate, options.values.source_rate  # both say what is wrong with them
    return options


def _layers(layers: Sequence[ConfigLayer]) -> list[Layer]:
    """The table of each layer; of a factor and a rate, the one from the stronger layer holds."""
    gathered: list[Layer] = []
    for layer in layers:
        table = dict(layer.tables.get(TABLE, {}))
        if "factor" in table:
            _check_factor(table["factor"], layer.source)
        asked = [name for name in ("factor", "fps") if table.get(name) not in (None, "none")]
        if len(asked) == 2:
            raise UsageError(
                f"--factor and --fps (from {layer.source}) both say how many frames.", hint="leave one out"
            )
        if asked:
            other = "fps" if asked == ["factor"] else "factor"
            gathered = [replace(one, values=_without(one.values, other)) for one in gathered]
        shared = {name: value for name, value in layer.tables.get("run", {}).items() if name in _SHARED}
        gathered += [Layer(layer.source, shared), Layer(layer.source, table)]
    return gathered


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _check_factor(value: Any, source: str) -> None:
    """A factor in words that lead on: who types 2.5 wants a rate."""
    try:
        number = None if value in (None, "none") else float(value)
    except (TypeError, ValueError):
        return  # left for resolve() to refuse
    (info,) = (info for info in describe_options(UpsampleOptions) if info.name == "factor")
    assert info.min is not None
    if number is not None and (not number.is_integer() or number < info.min):
        raise UsageError(
            f"{TABLE}.factor is {value} (from {source}); it takes a whole number, {info.range}.",
            hint="any rate above the source's can be had instead: --fps 60",
        )


def _best(registry: Registry, layers: Sequence[ConfigLayer], weights: WeightStore) -> tuple[str, str]:
    """The stage that draws where nobody named one, and why."""
    try:
        stage = registry.find("interpolator", BEST)
    except AnimeGenError:
        return BUILT_IN, f"{BUILT_IN}, as {BEST} is not installed (python -m pip install animegen-rife)"
    (choice,) = choose(registry, ROLE, BEST, "auto", layers)
    needed = stage.spec.weights_for(choice.options.values)
    if all(weights.status(stage.plugin.name, weight).usable(weight) for weight in needed):
        return BEST, f"{BEST}, as it is installed with its weights"
    return BUILT_IN, f"{BUILT_IN}, as the weights of {BEST} are not here (animegen weights fetch {BEST})"
