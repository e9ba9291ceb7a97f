"""What an upsampling is about to do, said before anything heavy is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.film.parts import segment_length
from animegen.film.workers import AHEAD
from animegen.upsampling.fill import SLICE
from animegen.upsampling.timeline import Factor, Rate, Timeline

if TYPE_CHECKING:
    from animegen.film.options import UpsampleSettings
    from animegen.film.source import Source

_PROGRAM = 150  # MiB: the interpreter with numpy, OpenCV and libav
_STAGE = 180  # bytes a pixel that the built-in stages work in; see `animegen.pipeline.plan`
_CODECS = 120  # bytes a pixel that a decoder and an encoder hold back
_LOSSY, _LOSSLESS = 0.25, 1.5  # bytes a pixel and frame of a clip; drawn films need less


def timeline(settings: UpsampleSettings, fps: Fraction) -> Timeline:
    """When frames are shown, for a source of `fps`.

    Raises:
        UsageError: The rate asked for is not above the source's.
    """
    rate = settings.values.rate
    return Factor(settings.values.times) if rate is None else Rate(rate, source=fps)


def result_rate(settings: UpsampleSettings, fps: Fraction) -> Fraction:
    """Frames per second of the result."""
    return settings.values.rate or fps * settings.values.times


def frames_out(settings: UpsampleSettings, source: Source) -> int | None:
    """How many frames the result has, as far as the source's header can be believed."""
    if source.about is None:
        return None
    return timeline(settings, source.reader.fps).count(source.about, source.about / source.reader.fps)


def memory_need_mib(settings: UpsampleSettings, source: Source) -> int:
    """The bound of what is in memory, MiB, however long the film; what a stage takes counts if it is built in."""
    width, height = source.reader.size
    channels = 4 if source.reader.alpha else 3
    pixels = width * height
    workers = len(settings.values.devices)
    held = 2.5 + channels  # bytes a pixel of a frame of the source: as decoded, its luma, and its colours
    ratio = max(1, int(result_rate(settings, source.reader.fps) / source.reader.fps))
    segment = segment_length(source.reader.size, channels) // ratio + 1
    ahead = 2 * (AHEAD + 1) if workers == 1 else (workers + 2) * min(segment, segment_length((width, height)))
    ahead += settings.values.max_run if settings.values.duplicates == "retime" else 0
    stage = 0 if settings.choice.stage.spec.needs.libraries else _STAGE
    each = stage + SLICE * channels + (AHEAD + 3) * channels + _CODECS
    return round(_PROGRAM + pixels * (ahead * held + workers * each) / 2**20)


def disk_need_mib(settings: UpsampleSettings, source: Source, suffix: str) -> int:
    """What lies on the disk at most, MiB, while the film is made: its segments, its clip, and the spools. A guess."""
    width, height = source.reader.size
    channels = 4 if source.reader.alpha else 3
    length = segment_length(source.reader.size, channels)
    total = frames_out(settings, source) or 0
    each = _LOSSY if suffix == ".mp4" else _LOSSLESS
    spools = min(total, length) * channels * len(settings.values.devices) * 2
    return round(width * height * (2 * total * each + spools) / 2**20) + 1


def plan_lines(
    settings: UpsampleSettings, source: Source, out: Path, clip: str, notes: list[str]
) -> Iterator[tuple[str, str]]:
    """(label, text) lines.

    Args:
        settings: What is asked for.
        source: What is upsampled.
        out: Folder of all runs.
        clip: Name of the clip in the run's folder.
        notes: What was decided on the user's behalf.
    """
    values, reader = settings.values, source.reader
    rate = result_rate(settings, reader.fps)
    how = f"x{values.times}" if values.rate is None else f"to {_fps(rate)}"
    total = frames_out(settings, source)
    width, height = reader.size
    about = "" if reader.frames else "about "  # what a header counts is believed; a length is rounded
    frames = "frames" if total is None else f"{about}{source.about} > {total} frames"
    seconds = "" if source.about is None else f", {float(source.about / reader.fps):.1f} s"
    stage = settings.choice.stage
    device = f"{values.device}, {values.dtype}" if stage.spec.needs.libraries else "cpu"
    if len(values.devices) > 1:
        device += f", {len(values.devices)} at once"
    speed = f"{_fps(reader.fps)} > {_fps(rate)} fps"
    yield "plan", f"{stage.name} {how}   {frames}, {speed}{seconds}, {width}x{height}   {device}"
    if settings.why:
        yield "why", settings.why
    yield "still", _still(settings)
    yield "keep", f"{clip}: {_kept(settings, source)}"
    for note in notes:
        yield "note", note
    need, room = disk_need_mib(settings, source, Path(clip).suffix), free_mib(out)
    beside = f" beside what {stage.name} takes" if stage.spec.needs.libraries else ""
    yield "need", f"at most {memory_need_mib(settings, source)} MiB of memory{beside}, however long it is"
    yield "disk", f"about {need} MiB below {out}" + ("" if room is None else f" ({room} MiB free)")
    if room is not None and need > room:
        yield "note", "the disk may become full; what is finished by then is kept, and --resume goes on from it"


def _still(settings: UpsampleSettings) -> str:
    """Where nothing is drawn."""
    values = settings.values
    cuts = {"auto": "cuts are looked for", "none": "no cuts are looked for"}.get(values.cuts.strip())
    policy = {
        "leave": "duplicates are frames like others",
        "hold": "nothing is drawn between duplicates",
        "retime": f"runs of up to {values.max_run} duplicates become motion",
    }[values.duplicates]
    return f"{cuts or 'cuts are given'}; {policy}"


def _kept(settings: UpsampleSettings, source: Source) -> str:
    tracks = [str(track) for track in source.reader.tracks] if settings.values.tracks else []
    return f"with {', '.join(tracks)}" if tracks else "pictures alone"


def free_mib(place: Path) -> int | None:
    """Room on the disk of `place`, which need not be there yet; None where the system does not tell."""
    for folder in (place.absolute(), *place.absolute().parents):
        if folder.is_dir():
            try:
                return shutil.disk_usage(folder).free // 2**20
            except OSError:
                return None
    return None


def _fps(rate: Fraction) -> str:
    return f"{float(rate):.6g}" if rate.denominator != 1 else str(rate)
