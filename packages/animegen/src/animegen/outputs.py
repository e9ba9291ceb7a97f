"""What a run leaves behind: frames at the panels' own size, the clip in every format asked for, the contact sheet."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.clip import Clip
from animegen.imageio import write_image
from animegen.job import Job
from animegen.overlay import draw_regions, side_by_side
from animegen.progress import Reporter
from animegen.record import RunRecord, read_record
from animegen.runfolder import BALLOONS, FRAMES, SHEET, RunFolder, link
from animegen.sheet import contact_sheet
from animegen.sizing import Fitting
from animegen.store import Entry
from animegen.video import FrameFolder, write_video

if TYPE_CHECKING:
    from animegen.media import Image

_SHEET_FRAMES = 16


def restored_frames(job: Job) -> Iterator[Image]:
    """The clip's frames at the size of the first panel (or the size asked for), one at a time."""
    result, fitting = _finished(job)
    for index in range(len(result)):
        yield fitting.restore(result.load(index))


def write_outputs(job: Job, record: RunRecord, folder: RunFolder, reporter: Reporter) -> None:
    """Write everything a user looks at into the run's folder, and list it in `record`."""
    options = job.run
    names = {"clip": [f"clip.{suffix}" for suffix in options.format], "sheet": SHEET}
    if any(job.regions):
        write_image(folder.path / BALLOONS, _balloons(job))
        names["balloons"] = BALLOONS
    frames = folder.path / FRAMES
    if options.keep == "all":
        _write_frames(job, frames)
        names["frames"] = FRAMES
    for name in names["clip"]:
        counted = _counted(_frames_again(job, frames), job.total_frames, reporter)
        write_video(folder.path / name, counted, job.rate, comment=f"animegen run {record.id}")
    write_image(folder.path / SHEET, _sheet(job, frames))
    height, width = next(_frames_again(job, frames)).shape[:2]
    record.outputs = {
        **names,
        "count": job.total_frames,
        "fps": str(job.rate),
        "width": width,
        "height": height,
        "seconds": round(float(job.total_frames / job.rate), 4),
    }


def open_run(folder: Path) -> Clip:
    """The clip of a finished run's folder.

    Raises:
        InputError: It holds no run.json, or its files are gone.
    """
    document = read_record(folder)
    outputs = document["outputs"]
    path = folder / outputs["clip"][0]
    rate, warnings = Fraction(outputs["fps"]), tuple(document["warnings"])
    if "frames" in outputs:
        frames = FrameFolder(folder / outputs["frames"])
        return Clip(frames, rate, path=path, warnings=warnings, record=document)
    return Clip(Clip.open(path).frames, rate, path=path, warnings=warnings, record=document)


def _finished(job: Job) -> tuple[Entry, Fitting]:
    assert job.result is not None and job.fitting is not None, "outputs are written after the last step"
    return job.result, job.fitting


def _write_frames(job: Job, folder: Path) -> None:
    result, fitting = _finished(job)
    for index in range(len(result)):
        path, target = result.path(index), folder / f"{index:06d}.png"
        if path and fitting.identity:
            link(path, target)
        else:
            write_image(target, fitting.restore(result.load(index)))


def _frames_again(job: Job, folder: Path) -> Iterator[Image]:
    """The frames as they were just written, or made again where they are not kept."""
    return iter(FrameFolder(folder)) if job.run.keep == "all" else restored_frames(job)


def _counted(frames: Iterator[Image], total: int, reporter: Reporter) -> Iterator[Image]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        reporter.progress(done, total, "frames")


def _sheet(job: Job, folder: Path) -> Image:
    result, fitting = _finished(job)
    first, last = (panel.image for panel in job.panels)
    steps = min(_SHEET_FRAMES, len(result)) - 1
    shown = sorted({round(step * (len(result) - 1) / max(steps, 1)) for step in range(steps + 1)})
    frames = [fitting.restore(result.load(index)) for index in shown]
    return contact_sheet(frames, first=first, last=last, numbers=shown, fps=job.rate)


def _balloons(job: Job) -> Image:
    pictures, number = [], 1
    for panel, regions, mask in zip(job.panels, job.regions, job.masks, strict=True):
        pictures.append(draw_regions(panel.image, regions, first_number=number, kept=job.run.keep_balloon, mask=mask))
        number += len(regions)
    return side_by_side(*pictures)
