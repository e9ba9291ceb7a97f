"""What an upsampling leaves behind: the clip, with what belongs to its source, and the contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from animegen.clip import Clip
from animegen.errors import InputError
from animegen.film.frames import SegmentedFrames, StreamedFrames
from animegen.imageio import write_image
from animegen.pictures.sheet import contact_sheet
from animegen.pipeline.record import read_record
from animegen.pipeline.runfolder import FRAMES, SHEET, RunFolder
from animegen.video import VideoReader, write_video
from animegen.video.coding import clock
from animegen.video.containers import container_for
from animegen.video.join import join
from animegen.video.segments import read_segments, segment

if TYPE_CHECKING:
    from animegen.film.options import UpsampleOptions
    from animegen.film.parts import Parts
    from animegen.film.source import Source
    from animegen.media import Image
    from animegen.pipeline.progress import Reporter

_JOINED = ("mp4", "mkv")
"""Formats put together from their segments; the others are written from lossless ones, all at once."""


class Output:
    """How a film is written.

    Args:
        source: What is upsampled.
        values: How.
        rate: Frames per second of the result.

    Attributes:
        name: Name of the clip in the run's folder.
        notes: What was decided on the user's behalf.
        segment_suffix: Suffix of segments.

    Raises:
        UsageError: The format cannot hold the source's alpha.
    """

    segment_suffix = ".nut"

    def __init__(self, source: Source, values: UpsampleOptions, rate: Fraction) -> None:
        self._source, self._values, self._rate = source, values, rate
        reader = source.reader
        self.notes: list[str] = []
        # Settled before anything is read: whether times vary is known only later, and all segments need one clock.
        even = values.rate is not None or reader.variable is False
        self._tick = None if even else clock(cast("VideoReader", reader), values.times)
        kind = values.format
        if kind == "auto":
            kind = "mkv" if reader.alpha else "mp4"
            if reader.alpha:
                self.notes.append("the source has alpha, so the clip is lossless Matroska; --format webp is smaller")
        self.kind = kind
        suffix, notes = container_for(kind, cast("VideoReader", reader), tracks=values.tracks)
        self.name = f"clip{suffix}" if suffix else FRAMES
        self.notes += notes

    def encoder(self, path: Path) -> AbstractContextManager[Callable[[Image, Fraction], None]]:
        """``with encoder(path) as put: put(image, time)`` writes a segment."""
        reader, values = self._source.reader, self._values
        return segment(
            path,
            reader.size,
            self._rate,
            "h264" if self.kind == "mp4" else "ffv1",
            reader.colour,
            reader.alpha,
            tick=self._tick,
            aspect=reader.aspect,
            quality=values.quality,
        )

    def write(
        self, parts: Parts, facts: Mapping[str, Any], folder: RunFolder, run_id: str, reporter: Reporter
    ) -> dict[str, Any]:
        """Write clip and sheet of a film whose segments are all there; gives the facts of run.json.

        Raises:
            ResourceError: The disk is full; the segments stay.
        """
        total: int = facts["frames_out"]
        paths = parts.paths(total)
        uneven = facts["variable"] and self._values.rate is None
        comment, place = f"animegen upsample {run_id}", folder.path / self.name
        if self.kind in _JOINED:
            join(
                place,
                paths,
                cast("VideoReader", self._source.reader),
                container="mkv" if place.suffix == ".mkv" else "mp4",
                tracks=self._values.tracks,
                comment=comment,
                end=Fraction(facts["length"]) if self._values.rate is None else None,
                even=not uneven,
                warn=reporter.warned,
            )
        else:
            if uneven:
                reporter.warned(
                    f"{self.kind} keeps no uneven times: the frames play at {float(self._rate):.4g} per second; "
                    "--format mkv keeps them, --fps makes them even"
                )
            format = "folder" if self.kind == "frames" else self.kind
            frames = _counted(read_segments(paths), total, reporter)
            quality = self._values.quality
            write_video(
                place, frames, self._rate, format=format, quality=quality, comment=comment, warn=reporter.warned
            )
        selected = SegmentedFrames(paths, parts.length, total)
        write_image(folder.path / SHEET, contact_sheet(selected, fps=None if uneven else self._rate))
        width, height = self._source.reader.size
        return {
            "clip": [self.name],
            "sheet": SHEET,
            "count": total,
            "fps": str(self._rate),
            "width": width,
            "height": height,
            "seconds": facts["seconds"] if self.kind in _JOINED else round(float(total / self._rate), 4),
        }


def open_film(folder: Path) -> Clip:
    """The clip of a finished upsampling; its frames are read as they are asked for, best from first to last.

    Raises:
        InputError: The folder holds no run.json, or its clip is gone.
    """
    document = read_record(folder)
    outputs = document["outputs"]
    path, rate = folder / outputs["clip"][0], Fraction(outputs["fps"])
    if not path.exists():
        raise InputError(f"{path} is gone, though run.json names it.", hint="--force makes it anew")
    frames = StreamedFrames(lambda: iter(VideoReader(path, fps=rate if path.is_dir() else None)), outputs["count"])
    return Clip(frames, rate, path, tuple(document["warnings"]), document)


def _counted(frames: Iterator[Image], total: int, reporter: Reporter) -> Iterator[Image]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        reporter.progress(done, total, "frames")
