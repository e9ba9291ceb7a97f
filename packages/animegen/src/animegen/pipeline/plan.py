"""What a run is about to do, said before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from animegen.pipeline.job import Job
from animegen.settings.resolve import Settings
from animegen.stages import InterpolatorSpec
from animegen.upsampling.fill import SLICE


def plan_lines(job: Job, settings: Settings, reason: str = "") -> list[tuple[str, str]]:
    """(label, text) lines: ``plan``, ``why``, ``note`` and ``need``.

    Args:
        job: A pair at the start of its way.
        settings: What is asked for.
        reason: Why this recipe was taken; empty when the user named it.
    """
    chosen = settings.choices
    names = [choice.stage.name for choices in chosen.values() for choice in choices]
    if chosen["detector"] and not chosen["inpainter"]:  # nobody would use what it finds
        names.remove(chosen["detector"][0].stage.name)
    run = settings.run.values
    device = f"{run.device}, {run.dtype}" if uses_devices(settings) else "cpu"
    frames = f"{job.total_frames} frames at {float(job.rate):g} fps"
    return [
        ("plan", f"{' > '.join(names)}   {frames}   {device}"),
        *([("why", reason)] if reason else []),
        *(("note", text) for text in (*settings.notes, *_notes(job, settings))),
        ("need", f"about {memory_need_mib(job)} MiB of memory for the built-in stages"),
    ]


def uses_devices(settings: Settings) -> bool:
    """Whether any stage can work elsewhere than on the CPU."""
    return any(choice.stage.spec.needs.libraries for choices in settings.choices.values() for choice in choices)


def memory_need_mib(job: Job) -> int:
    """An upper estimate of the memory that the built-in stages take for a pair, MiB.

    The program itself, 180 bytes a pixel of working arrays, and the frames of one slice at 3 bytes a pixel; measured
    by ``benchmarks/pairs.py``.
    """
    pixels = max(image.size for image in job.images) // 3
    return round(130 + pixels * (180 + 3 * SLICE) / 2**20)


def _notes(job: Job, settings: Settings) -> Iterator[str]:
    spec = settings.choices["interpolator"][0].stage.spec
    assert isinstance(spec, InterpolatorSpec)
    if spec.frames not in (None, job.frame_count):
        yield (
            f"{spec.name} was made for {spec.frames} frames; {job.frame_count} are asked for, and its motion may suffer"
        )
    device = settings.run.values.device
    if device not in ("auto", "cpu") and not uses_devices(settings):  # never passed over in silence
        yield f"{device} is not used: every stage of this run works on the CPU"
