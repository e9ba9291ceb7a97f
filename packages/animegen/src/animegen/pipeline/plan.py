"""What a run is about to do, said before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from animegen.pipeline.job import Job
from animegen.pipeline.outlook import Planned, needs, plan_words
from animegen.settings.resolve import Choice, Settings
from animegen.stages import InterpolatorSpec

UNTRAINED = "untrained"
"""What a clip made with random parameters is called, wherever it is named."""


def plan_lines(job: Job, settings: Settings, planned: Sequence[Planned], reason: str = "") -> list[tuple[str, str]]:
    """(label, text) lines: ``plan``, ``how``, ``why``, ``note`` and ``need``.

    Args:
        job: A strip at the start of its way.
        settings: What is asked for.
        planned: What the stages say of themselves.
        reason: Why this recipe was taken; empty when the user named it.
    """
    chosen = settings.choices
    idle = chosen["detector"] if not chosen["inpainter"] else ()  # nobody would use what it finds
    names = [_name(choice, settings) for choice in settings.taking_part if choice not in idle]
    run = settings.run.values
    demanded = dict.fromkeys(demand.device for one in planned for demand in one.plan.demands if demand.device != "cpu")
    device = f"{' + '.join(demanded) or run.device}, {run.dtype}" if demanded or uses_devices(settings) else "cpu"
    panels = f"{len(job.panels)} panels, " if len(job.panels) > 2 else ""
    loop = ", in a loop" if run.loop else ""
    seconds = _seconds(float(job.total_frames / job.rate))
    frames = f"{panels}{job.total_frames} frames at {float(job.rate):g} fps, {seconds}{loop}"
    how, need = ([line for line in plan_words(planned) if line[0] == label] for label in ("how", "need"))
    return [
        ("plan", f"{' > '.join(names)}   {frames}   {device}"),
        *how,
        *([("why", reason)] if reason else []),
        *(("note", text) for text in (*settings.notes, *_notes(job, settings))),
        *need,
    ]


def uses_devices(settings: Settings) -> bool:
    """Whether any stage can work elsewhere than on the CPU."""
    return any(choice.stage.spec.needs.libraries for choice in settings.taking_part)


def untrained_stages(settings: Settings) -> list[str]:
    """Full names of the stages that run with random parameters."""
    return [choice.stage.full_name for choice in settings.taking_part if settings.untrained(choice)]


def untrained_words(names: Sequence[str]) -> str:
    """What is said of a clip that such stages made."""
    stages = " and ".join(name.rpartition(":")[2] for name in names)
    return f"{stages} ran with random parameters (--untrained): only the memory and speed of this clip mean anything"


def together_too_much(planned: Sequence[Planned]) -> list[str]:
    """Devices on which the stages do not all fit at once, so that each is let go of after its step."""
    return [one.device for one in needs(planned, together=True) if not one.fits]


def _name(choice: Choice, settings: Settings) -> str:
    return f"{choice.stage.name} ({UNTRAINED})" if settings.untrained(choice) else choice.stage.name


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds:.2f} s"


def _notes(job: Job, settings: Settings) -> Iterator[str]:
    spec = settings.choices["interpolator"][0].stage.spec
    assert isinstance(spec, InterpolatorSpec)
    if spec.frames not in (None, job.frame_count):
        yield (
            f"{spec.name} was made for {spec.frames} frames; {job.frame_count} are asked for, and its motion may suffer"
        )
    if len(job.panels) == 1 and not spec.uses_seed:
        yield f"{spec.name} moves what differs between two panels: from a panel back to itself nothing may move"
    device = settings.run.values.device
    if device not in ("auto", "cpu") and not uses_devices(settings):  # never passed over in silence
        yield f"{device} is not used: every stage of this run works on the CPU"
