"""What a run gives back: frames that know how fast they play, and how they were made."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.errors import ResourceError, UsageError
from animegen.media import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from animegen.media import Frames, Image

_EMBEDDED = 16 * 2**20
"""Largest video a notebook carries within itself, bytes."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A short animation.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, or a sequence that reads a frame when asked (`animegen.video.FrameFolder`).
        fps: Frames per second.
        path: The file it was written to or read from.
        warnings: What the stages had to say about the result.
        record: Contents of the run's run.json, or None for a clip that no run made.

    Raises:
        UsageError: There are no frames, or `fps` is not above 0.
    """

    frames: Frames | Sequence[Image] = field(repr=False)
    fps: Fraction
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    record: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.frames, np.ndarray) and (
            self.frames.ndim != 4 or self.frames.shape[3] != 3 or self.frames.dtype != np.uint8
        ):
            raise UsageError(f"the frames of a clip are (T, H, W, 3) uint8 RGB, not {describe(self.frames)}.")
        if not len(self.frames):
            raise UsageError("a clip has at least one frame.")
        object.__setattr__(self, "fps", Fraction(self.fps))
        if self.fps <= 0:
            raise UsageError(f"{self.fps} frames per second cannot be played.")

    @classmethod
    def open(cls, path: str | Path, *, fps: Fraction | float | None = None) -> Clip:
        """Read a video or an animated picture into memory, or a folder of frames, read as they are asked for.

        Args:
            path: The file or folder.
            fps: Frames per second of a folder, which does not keep them.

        Raises:
            InputError: It is absent, no clip, or broken.
            ResourceError: Its frames do not fit in the memory.
        """
        from animegen.video import FrameFolder, VideoReader

        path = Path(path)
        rate = None if fps is None else Fraction(fps).limit_denominator(1001)
        if path.is_dir():
            folder = FrameFolder(path)
            with VideoReader(path, fps=rate) as video:
                return cls(folder, video.fps, path)
        with VideoReader(path) as video:
            try:
                return cls(np.stack(list(video)), rate or video.fps, path)
            except MemoryError as error:
                width, height = video.size
                raise ResourceError(
                    f"{video.frames} frames of {width}x{height} do not fit in the memory.",
                    hint="animegen.video.VideoReader gives them one by one",
                ) from error

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Image]:
        return iter(self.frames)

    def __getitem__(self, index: int) -> Image:
        image: Image = self.frames[index]
        return image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        known = getattr(self.frames, "size", None)  # a folder knows from a header; an array's is a number
        if isinstance(known, tuple):
            return known
        height, width = self.frames[0].shape[:2]
        return width, height

    @property
    def duration(self) -> Fraction:
        """Seconds it plays: every frame, the last one too, stays for 1/fps, as players and containers count."""
        return Fraction(len(self)) / self.fps

    def array(self) -> Frames:
        """All frames as one array, (T, H, W, 3) uint8 RGB.

        Raises:
            ResourceError: They do not fit in the memory.
        """
        if isinstance(self.frames, np.ndarray):
            return self.frames
        try:
            return np.stack(list(self.frames))
        except MemoryError as error:
            raise ResourceError(f"{len(self)} frames do not fit in the memory.") from error

    def save(self, path: str | Path, **options: Any) -> Clip:
        """Write it as .mp4, .webp, .gif, .apng, .mkv (lossless) or a folder of PNGs; gives the clip at its new place.

        Args:
            path: Where to; the suffix says the format.
            options: As for `animegen.video.write_video`: ``quality``, ``comment``, ``format``.

        Raises:
            UsageError: The suffix is unknown.
            ResourceError: The disk is full or read-only.
        """
        from animegen.video import write_video

        if "comment" not in options and self.record and "id" in self.record:
            note = " (untrained)" if self.record.get("untrained") else ""
            options["comment"] = f"animegen run {self.record['id']}{note}"
        write_video(path, self.frames, self.fps, **options)
        return Clip(self.frames, self.fps, Path(path), self.warnings, self.record)

    def sheet(self, **options: Any) -> Image:
        """A contact sheet, (H, W, 3) uint8 RGB; options as for `animegen.pictures.sheet.contact_sheet`."""
        from animegen.pictures.sheet import contact_sheet
        from animegen.pipeline.plan import untrained_words

        untrained = (self.record or {}).get("untrained")
        caption = {"caption": untrained_words(untrained)} if untrained else {}
        return contact_sheet(self.frames, **{"fps": self.fps, **caption, **options})

    def __repr__(self) -> str:
        width, height = self.size
        place = f", {str(self.path)!r}" if self.path else ""
        return (
            f"Clip({len(self)} frames, {width}x{height}, {float(self.fps):g} fps, {float(self.duration):.2f} s{place})"
        )

    def _repr_html_(self) -> str:
        """How a notebook shows it: playing, silent, in a loop; too large a clip is a link, or its contact sheet."""
        from animegen.imageio import encode_png

        width = self.size[0]
        with tempfile.TemporaryDirectory() as folder:
            path = self.path if self.path and self.path.suffix == ".mp4" and self.path.is_file() else None
            if path is None:
                path = self.save(Path(folder) / "clip.mp4").path
            assert path is not None
            video = path.read_bytes() if path.stat().st_size <= _EMBEDDED else b""
        if video:
            source = base64.b64encode(video).decode()
            return (
                f'<video width="{width}" style="max-width:100%;height:auto" loop autoplay muted playsinline controls '
                f'src="data:video/mp4;base64,{source}"></video>'
            )
        caption = html.escape(repr(self))
        if self.path:
            return f'<a href="{html.escape(self.path.as_posix(), quote=True)}">{caption}</a>'
        sheet = base64.b64encode(encode_png(self.sheet(max_width=1000))).decode()
        return f'<figure><img src="data:image/png;base64,{sheet}"><figcaption>{caption}</figcaption></figure>'
