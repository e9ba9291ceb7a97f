"""What a run is asked to do: its own options, the stage in each role, and each stage's options with their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from animegen.errors import UsageError
from animegen.options import Layer, Resolved, describe_options, option, resolve
from animegen.registry import Registry, Stage
from animegen.settings.layers import ConfigLayer, check_tables, environment_layer, file_layer
from animegen.settings.roles import ROLE_KINDS, ROLES, Role
from animegen.stages import InterpolatorSpec

DTYPES = ("auto", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class RunOptions:
    """Options of a run itself; the table ``[run]``."""

    detector: str = option("auto", "Finds balloons: a stage, auto (the first one installed) or none.")
    inpainter: str = option("flat", "Removes balloons: a stage or none.")
    preprocessor: tuple[str, ...] = option((), "Clean-up stages, in order; none for no clean-up.")
    interpolator: str = option("flow", "Draws the frames between the two panels.")
    upsampler: str = option("none", "Adds frames between frames: an interpolator for any time, or none.")
    loop: bool = option(False, "Go back to the first panel, so that a player repeats the clip without a jump.")
    factor: int = option(4, "Frames after upsampling for each frame before it.", min=1, max=64)
    frames: int | None = option(
        None,
        "Frames the interpolator makes from one panel to the next, both included; none for its own count.",
        min=2,
        max=10_000,
    )
    fps: str = option("8", "Frames per second before upsampling; a number or a fraction like 24000/1001.")
    size: str = option("fit", "fit (letterbox), crop, or WIDTHxHEIGHT of the clip.")
    prompt: str = option("", "Text for interpolators that read one.")
    seed: int = option(123, "Start of the random numbers; the same seed gives the same clip.", min=0)
    device: str = option("auto", "auto, cpu, cuda:0, or several: cuda:0,cuda:1.")
    dtype: str = option("auto", "Number format on the device.", choices=DTYPES)
    untrained: bool = option(
        False, "Random parameters in place of weights, to try memory and speed before a download; no picture worth it."
    )
    grow: int = option(0, "Extra pixels around every balloon that is removed.", min=0, max=200, unit="px")
    keep_balloon: tuple[int, ...] = option(
        (), "Numbers of balloons to leave in, as drawn in the run's balloons.png.", min=1
    )
    format: tuple[str, ...] = option(
        ("mp4",), "Kinds of clip to write; mkv is lossless.", choices=("mp4", "webp", "gif", "apng", "mkv")
    )
    keep: str = option("all", "Keep all results of a run, or its clip alone.", choices=("all", "clip"))
    max_pixels: int = option(100_000_000, "Largest picture that is read, as width times height.", min=1, unit="px")

    @property
    def rate(self) -> Fraction:
        """`fps` as an exact fraction."""
        return parse_fps(self.fps)


def parse_fps(text: str, name: str = "run.fps") -> Fraction:
    """Frames per second from ``24``, ``23.976`` or ``24000/1001``; `name` is the option's, for messages.

    Raises:
        UsageError: Not a number in (0, 1000].
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise UsageError(
            f"{name} is {text!r}; it takes a number above 0 and at most 1000, or a fraction like 24000/1001."
        )
    return rate


def named_devices(text: str) -> tuple[str, ...]:
    """Each device of ``cuda:0,cuda:1``."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) or ("auto",)


@dataclass(frozen=True)
class Choice:
    """The stage that fills a role, with its options.

    Attributes:
        role: The place in the run.
        stage: What fills it.
        options: Its options, each with the source of its value.
        source: Where the choice itself came from.
    """

    role: Role
    stage: Stage
    options: Resolved[Any]
    source: str


@dataclass(frozen=True)
class Settings:
    """Everything a run is asked to do, resolved and checked; nothing heavy has been imported.

    Attributes:
        run: The run's own options with sources.
        choices: The stages by role; a preprocessor chain has several, an unused role has none.
        notes: What was decided on the user's behalf, for the plan.
    """

    run: Resolved[RunOptions]
    choices: Mapping[Role, tuple[Choice, ...]]
    notes: tuple[str, ...] = ()

    def one(self, role: Role) -> Choice | None:
        """The single stage of a role, or None."""
        chosen = self.choices[role]
        return chosen[0] if chosen else None

    def untrained(self, choice: Choice) -> bool:
        """Whether a stage runs with random parameters: the user asked for it, and the stage can."""
        return self.run.values.untrained and choice.stage.spec.untrained

    @property
    def taking_part(self) -> tuple[Choice, ...]:
        """Every stage, in the order of the roles."""
        return tuple(choice for choices in self.choices.values() for choice in choices)


def table_names(registry: Registry) -> set[str]:
    """Names of the tables that settings may have in this environment."""
    return {
        "run",
        "upsample",
        "train",
        "trainer",
        "data",
        "dataset",
        "plugins",
        *ROLES,
        "metric",
        *(stage.name for stage in registry.stages()),
    }


def layers_here(
    registry: Registry, settings: Mapping[str, Mapping[str, Any]], *, config: bool = True, source: str = "Python"
) -> list[ConfigLayer]:
    """What is set in this place, weakest first: ``animegen.toml``, environment, then `settings`.

    Args:
        registry: What is installed.
        settings: Tables of what the user says now.
        config: Whether the file and the environment count.
        source: Where `settings` come from, in words.
    """
    layers = []
    if config:
        from_file = file_layer()
        layers = [from_file] if from_file else []
        layers.append(environment_layer(table_names(registry) - {"plugins"}))
    return [*layers, ConfigLayer(source, settings)]


def resolve_settings(registry: Registry, layers: Sequence[ConfigLayer]) -> Settings:
    """Gather settings from `layers`, weakest first.

    Raises:
        UsageError: An unknown table, stage or option, or a bad value; the message names the source.
        MissingError: A stage of a plugin that did not load.
    """
    known = table_names(registry)
    for layer in layers:
        check_tables(layer, known)
    run = resolve(RunOptions, [Layer(layer.source, layer.tables.get("run", {})) for layer in layers], name="run")
    parse_fps(run.values.fps)
    notes: list[str] = []
    run = _settle_detector(registry, run, notes)
    choices = {role: choose(registry, role, getattr(run.values, role), run.sources[role], layers) for role in ROLES}
    settings = Settings(_settle_timing(run, choices["interpolator"]), choices, tuple(notes))
    _check_choices(settings)
    _check_untrained(settings, registry)
    return settings


def _settle_detector(registry: Registry, run: Resolved[RunOptions], notes: list[str]) -> Resolved[RunOptions]:
    if run.values.detector != "auto":
        return run
    finders = [stage for stage in registry.stages("detector") if getattr(stage.spec, "finds", "") == "balloon"]
    name = finders[0].full_name if finders else "none"
    if not finders and run.values.inpainter != "none":
        notes.append("no balloon detector is installed, so balloons stay: pip install animegen-manga")
    return replace(run, values=replace(run.values, detector=name))


def _settle_timing(run: Resolved[RunOptions], interpolator: Sequence[Choice]) -> Resolved[RunOptions]:
    """A recipe times its own interpolator; another one, made for a count of frames, makes that many at our own rate."""
    source = run.sources["interpolator"]
    if not interpolator or _spec(interpolator[0]).frames is None:
        return run
    ours = RunOptions()
    for name in ("frames", "fps"):
        told = run.sources[name]
        if told.startswith("recipe ") and told != source:
            values = replace(run.values, **{name: getattr(ours, name)})
            run = replace(run, values=values, sources={**run.sources, name: "default"})
    return run


def choose(
    registry: Registry, role: Role, asked: str | Sequence[str], source: str, layers: Sequence[ConfigLayer]
) -> tuple[Choice, ...]:
    """The stages that fill a role, with their options; none where ``none`` is asked for.

    Args:
        registry: The stages there are.
        role: The place to fill.
        asked: Names of stages.
        source: Where the names came from.
        layers: Where the options of the stages come from, weakest first.

    Raises:
        UsageError: An unknown stage or option, or a bad value.
        MissingError: A stage of a plugin that did not load.
    """
    names = [name for name in ((asked,) if isinstance(asked, str) else asked) if name not in ("none", "")]
    stages = [registry.find(ROLE_KINDS[role], name) for name in names]
    return tuple(Choice(role, stage, _stage_options(role, stage, stages, layers), source) for stage in stages)


def _stage_options(role: Role, stage: Stage, chain: Sequence[Stage], layers: Sequence[ConfigLayer]) -> Resolved[Any]:
    """Options of one stage: the role's table, then the stage's own table, layer by layer."""
    own = [Layer(layer.source, layer.tables.get(stage.name, {})) for layer in layers]
    resolve(stage.spec.options, own, name=stage.name)  # so that a mistake is told by the name that was typed
    gathered = []
    for layer in layers:
        shared = layer.tables.get(role, {})
        if len(chain) > 1 and shared:
            shared = _share_of_chain(role, stage, chain, layer.source, shared)
        gathered += [Layer(layer.source, shared), Layer(layer.source, layer.tables.get(stage.name, {}))]
    return resolve(stage.spec.options, gathered, name=role if len(chain) == 1 else stage.name)


def _share_of_chain(
    role: Role, stage: Stage, chain: Sequence[Stage], source: str, shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Of a role's table, the options that are this stage's; an option of two chained stages must say whose."""
    mine = {}
    for key, value in shared.items():
        owners = [
            other.name
            for other in chain
            if key.replace("-", "_") in {info.name for info in describe_options(other.spec.options)}
        ]
        if len(owners) > 1:
            raise UsageError(
                f"{role}.{key} (from {source}) is an option of {' and '.join(owners)}.",
                hint=f"say whose: -o {owners[0]}.{key}={value}",
            )
        if not owners or stage.name in owners:  # an unknown option is left for resolve() to refuse
            mine[key] = value
    return mine


def _check_choices(settings: Settings) -> None:
    if settings.one("interpolator") is None:
        raise UsageError("a run needs an interpolator.", hint="for example: --interpolator flow")
    if upsampler := settings.one("upsampler"):
        check_any_time(upsampler)
    interpolator = settings.one("interpolator")
    assert interpolator is not None
    spec, frames = _spec(interpolator), settings.run.values.frames
    if frames is not None and spec.frames not in (None, frames) and not spec.other_counts:
        raise UsageError(
            f"{interpolator.stage.name} always makes {spec.frames} frames; run.frames is {frames}.",
            hint=f"leave --frames out, and use --upsampler to get more than {spec.frames}",
        )


def _check_untrained(settings: Settings, registry: Registry) -> None:
    if not settings.run.values.untrained or any(map(settings.untrained, settings.taking_part)):
        return
    able = [stage.name for stage in registry.stages() if stage.spec.untrained]
    chosen = ", ".join(choice.stage.name for choice in settings.taking_part)
    raise UsageError(
        f"run.untrained (from {settings.run.sources['untrained']}) has no effect: none of {chosen} can run untrained.",
        hint=f"these can: {', '.join(able)}" if able else "leave it out: no stage that is installed here can",
    )


def check_any_time(upsampler: Choice) -> None:
    """Refuse a stage with a fixed count of frames as upsampler. Raises UsageError."""
    if _spec(upsampler).frames is not None:
        raise UsageError(
            f"{upsampler.stage.name} always makes {_spec(upsampler).frames} frames, so it cannot upsample.",
            hint="an upsampler makes a frame at any time: flow or crossfade, or another that says so",
        )


def _spec(choice: Choice) -> InterpolatorSpec:
    spec = choice.stage.spec
    assert isinstance(spec, InterpolatorSpec)  # the registry checks every record against its hook
    return spec
