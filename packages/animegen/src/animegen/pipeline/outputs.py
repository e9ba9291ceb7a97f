"""What a run leaves behind: frames at the clip's own size, the clip in every format asked for, the contact sheet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from animegen.clip import Clip
from animegen.errors import AnimeGenError, InputError
from animegen.imageio import write_image
from animegen.pictures.overlay import draw_regions, side_by_side
from animegen.pictures.sheet import contact_sheet
from animegen.pipeline.chain import panel_names
from animegen.pipeline.job import Job
from animegen.pipeline.plan import UNTRAINED, untrained_words
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import RunRecord, read_record
from animegen.pipeline.runfolder import BALLOONS, CLIP, FRAMES, SHEET, RunFolder, link
from animegen.video import FrameFolder, VideoReader, write_folder, write_video

if TYPE_CHECKING:
    from animegen.media import Image


_TILES, _TILES_A_PAIR, _MOST_TILES = 16, 8, 60
"""Frames on a contact sheet: at least, for each pair of panels, and at most."""


class RestoredFrames(Sequence["Image"]):
    """The last step's frames at the clip's size, each made when it is asked for.

    Args:
        job: A pair after its last step.
    """

    def __init__(self, job: Job) -> None:
        assert job.result is not None and job.fitting is not None, "outputs are written after the last step"
        self.result, self.fitting = job.result, job.fitting
        self._count = job.total_frames

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.fitting.restore(self.result.load(index % len(self)))


def write_outputs(
    job: Job, record: RunRecord, folder: RunFolder, reporter: Reporter, twins: Sequence[Path] = ()
) -> None:
    """Write everything a user looks at into the run's folder, and list it in `record`.

    Args:
        job: A strip after its last step.
        record: Its record.
        folder: Its folder.
        reporter: Told how far it is.
        twins: Folders of finished runs of the same panels; see `Pipeline.run`.
    """
    options = job.run
    frames: Sequence[Image] = RestoredFrames(job)
    stem = f"{CLIP}-{UNTRAINED}" if record.untrained else CLIP
    names: dict[str, Any] = {"clip": [f"{stem}.{suffix}" for suffix in options.format], "sheet": SHEET}
    if any(job.regions):
        write_image(folder.path / BALLOONS, _balloons(job))
        names["balloons"] = BALLOONS
    size = RestoredFrames(job).fitting.size
    if options.keep == "all":
        names["frames"] = FRAMES
    facts = {
        "count": len(frames),
        "fps": str(job.rate),
        "width": size[0],
        "height": size[1],
        "seconds": round(float(len(frames) / job.rate), 4),
    }
    if twin := _same_frames(twins, record, {name: names.get(name) for name in ("clip", "sheet", "frames")} | facts):
        _link_outputs(twin, names, folder.path)
        record.outputs = {**names, **facts}
        return
    if options.keep == "all":
        _write_frames(RestoredFrames(job), folder.path / FRAMES)
        frames = FrameFolder(folder.path / FRAMES)
    try:
        for name in names["clip"]:
            counted = _counted(frames, reporter)
            comment = f"animegen run {record.id}" + (f" ({UNTRAINED})" if record.untrained else "")
            write_video(folder.path / name, counted, job.rate, comment=comment, warn=reporter.warned)
        write_image(folder.path / SHEET, _sheet(job, frames, record))
    except InputError:
        for _ in RestoredFrames(job):  # links to a kept result that is damaged: it says so, and is not taken again
            pass
        raise
    record.outputs = {**names, **facts}


def _same_frames(twins: Sequence[Path], record: RunRecord, outputs: Mapping[str, Any]) -> Path | None:
    """The folder of a finished run whose last step left the same pictures, shown in the same way."""
    for twin in twins:
        try:
            other = read_record(twin)
        except AnimeGenError:
            continue
        shown = {name: other["outputs"].get(name) for name in outputs}
        same = other["status"] == "done" and shown == outputs and other["untrained"] == record.untrained
        same = same and all((twin / name).is_file() for name in (*outputs["clip"], outputs["sheet"]))
        if same and other["steps"] and other["steps"][-1]["output"] == record.steps[-1].output:
            return twin
    return None


def _link_outputs(twin: Path, names: Mapping[str, Any], folder: Path) -> None:
    files = [*names["clip"], names["sheet"]]
    if "frames" in names:
        shutil.rmtree(folder / names["frames"], ignore_errors=True)
        files += [f"{names['frames']}/{path.name}" for path in sorted((twin / names["frames"]).glob("*.png"))]
    for file in files:
        link(twin / file, folder / file)


def _sheet(job: Job, frames: Sequence[Image], record: RunRecord) -> Image:
    """The frames with every panel where the clip comes to it; of a loop, the first one at both ends."""
    names = [name.replace("-", " ") if "-" in name else f"{name} panel" for name in panel_names(len(job.panels))]
    panels = [
        (number * job.gap_frames, name, panel.image)
        for number, (name, panel) in enumerate(zip(names, job.panels, strict=True))
    ]
    if job.run.loop:
        panels.append((len(frames), f"{names[0]} again", job.panels[0].image))
    else:
        panels[-1] = (len(frames), *panels[-1][1:])
    caption = untrained_words(record.untrained) if record.untrained else ""
    count = max(_TILES, min(_MOST_TILES, _TILES_A_PAIR * len(job.links)))
    return contact_sheet(frames, panels=panels, caption=caption, count=count, fps=job.rate)


def open_run(folder: Path) -> Clip:
    """The clip of a finished run's folder; its frames are read as they are asked for.

    Raises:
        InputError: It holds no run.json, or its files are gone.
    """
    document = read_record(folder)
    outputs = document["outputs"]
    path = folder / outputs["clip"][0]
    if "frames" in outputs:
        frames: Any = FrameFolder(folder / outputs["frames"])
    else:
        import numpy as np

        with VideoReader(path) as reader:
            frames = np.stack(list(reader))
    return Clip(frames, Fraction(outputs["fps"]), path=path, warnings=tuple(document["warnings"]), record=document)


def _write_frames(frames: RestoredFrames, folder: Path) -> None:
    """Hard links to the last step's files where frames reach the clip as they are, files of their own otherwise."""
    paths = [frames.result.path(index) for index in range(len(frames))]
    if not frames.fitting.identity or None in paths:
        write_folder(folder, frames)
        return
    for index, path in enumerate(paths):
        assert path is not None
        link(path, folder / f"{index:06d}.png")


def _counted(frames: Sequence[Image], reporter: Reporter) -> Iterator[Image]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        reporter.progress(done, len(frames), "frames")


def _balloons(job: Job) -> Image:
    pictures: list[Image] = []
    number = 1
    for panel, regions, mask in zip(job.panels, job.regions, job.masks, strict=True):
        kept = job.run.keep_balloon
        pictures.append(draw_regions(panel.image, regions, first_number=number, kept=kept, mask=mask))
        number += len(regions)
    return side_by_side(*pictures)
