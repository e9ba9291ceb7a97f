"""A video as the released program codes it again before it looks at it: 1920 × 1080, HEVC at constant quality.

What tells duplicates from new drawings was fitted to such files. They are written in segments, each by any process and
whole or absent, and read as one video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from animegen.atomic import replacing
from animegen.errors import MissingError
from animegen.video.encode import Codec, encode
from animegen.video.even import EvenVideo
from animegen_eisai.data.frames import sized

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame
    from animegen_eisai.data.options import RrldOptions

HEIGHT, WIDTH = 1080, 1920
QP = 23
ENCODER = "libx265"
Bounds = tuple[int, int | None]
"""First slot of a segment, and the first behind it; None for the last one, which goes to the end."""


@dataclass(frozen=True)
class Segment:
    """A piece of work: slots of a video, and the file that they go to."""

    video: EvenVideo
    place: Path
    bounds: Bounds


@dataclass(frozen=True)
class Reencoded:
    """Segments, read as one video; has what `EvenVideo` has.

    Attributes:
        source: What was coded again.
        segments: First slot and file of each, in order.
    """

    source: EvenVideo
    segments: tuple[tuple[int, Path], ...]
    seekable: bool = True

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def fps(self) -> Fraction:
        return self.source.fps

    @property
    def slots(self) -> int | None:
        return self.source.slots

    def stretch(self, first: int = 0, stop: int | None = None) -> Iterator[tuple[int, SourceFrame]]:
        """As `EvenVideo.stretch`."""
        for number, (begin, path) in enumerate(self.segments):
            end = self.segments[number + 1][0] if number + 1 < len(self.segments) else None
            if (stop is not None and begin >= stop) or (end is not None and end <= first):
                continue
            part = EvenVideo.look(path, self.fps)
            # A millisecond's rounding of the last stamp must not lead into the next segment.
            until = min((one for one in (stop, end) if one is not None), default=None)
            last = None if until is None else until - begin
            for slot, frame in part.stretch(max(first - begin, 0), last):
                yield begin + slot, frame


class Reencoder:
    """Writes segments."""

    def __init__(self, options: RrldOptions, job: int, jobs: int) -> None:
        threads = max(1, torch.get_num_threads() // jobs)
        parameters = f"qp={QP}:log-level=none:pools={threads}"
        self._fit = options.fit
        self._codec = Codec("matroska", ENCODER, "yuv420p", {"preset": "medium", "x265-params": parameters})

    def __call__(self, segment: Segment) -> bool:
        """Whether the segment was not there yet."""
        if segment.place.exists():
            return False
        for part in segment.place.parent.glob(f".{segment.place.stem}.*.part.*"):
            part.unlink(missing_ok=True)  # of a process that was killed
        with replacing(segment.place) as beside:
            encode(beside, self._frames(segment), segment.video.fps, self._codec)
        return True

    def _frames(self, segment: Segment) -> Iterator[Image]:
        for _, frame in segment.video.stretch(*segment.bounds):
            yield sized(frame, HEIGHT, WIDTH, self._fit)


def must_have_encoder() -> None:
    """Raise MissingError where this build of PyAV cannot write HEVC."""
    import av

    if ENCODER not in av.codecs_available:
        raise MissingError(
            f"this build of PyAV has no {ENCODER}.",
            hint=("python -m pip install --upgrade av", "or leave it out: -o rrld.reencode=no"),
        )
