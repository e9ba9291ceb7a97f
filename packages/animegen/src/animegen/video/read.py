"""Videos from files: every frame with the colours the file means, and with its time where that is asked for."""

from __future__ import annotations

import os
import warnings
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.errors import InputError
from animegen.imageio import lay_on, no_such_file, open_header
from animegen.video import animated
from animegen.video.colour import HDR, Colour, to_rgb
from animegen.video.folder import FrameFolder
from animegen.video.stream import Facts, decoded, probe
from animegen.video.timed import delayed_frames, even_frames, stream_frames, too_deep

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame
    from animegen.video.tracks import Track

_READABLE = "MP4, MOV, MKV, WebM, AVI, GIF, animated WebP and PNG, and folders of PNGs are read."


class VideoReader:
    """The frames of a video, an animated picture or a folder of pictures, in order; read them as often as you like.

    Iterating gives pictures alone, (H, W, 3), transparency laid on white. `timed` gives frames with their times
    and alpha. ``with VideoReader(path) as video: ...`` closes the file when a reading was left early.

    Args:
        path: The file or folder.
        fps: Frames per second, for a folder, which does not keep them.
        role: What the file was named as, for messages.
        eight_bit: Let `timed` give frames of more than 8 bits per channel, rounded to 8.
        warn: Called by `timed` with one sentence when something is odd about the file; else `warnings.warn`.

    Attributes:
        fps: Frames per second (the average where they vary).
        size: Width and height.
        frames: How many there are, or None where the file does not say.
        comment: The comment tag, or an empty string.
        bits: Bits per channel.
        colour: What the numbers of a video mean; None where the source holds RGB.
        tracks: What the file holds beside the frames.
        start: Time of the first frame on the file's own clock, which its other tracks use too, in seconds.
        tick: The clock of the time stamps, in seconds; times of `timed` are multiples of it or of 1/`fps`.
        aspect: Width of a pixel by its height.
        variable: Whether the distance between frames varies; None until a reading by `timed` has come far enough.
        facts: What libav knows of a video file; None for folders and animated pictures.

    Raises:
        InputError: The file is absent, not a video or broken; while reading, a broken or missing frame.
    """

    fps: Fraction
    size: tuple[int, int]
    frames: int | None
    comment: str = ""
    bits: int = 8
    colour: Colour | None = None
    tracks: tuple[Track, ...] = ()
    start: Fraction = Fraction(0)
    tick: Fraction
    aspect: Fraction = Fraction(1)
    variable: bool | None = None
    facts: Facts | None = None

    def __init__(
        self,
        path: str | Path,
        *,
        fps: Fraction | None = None,
        role: str = "",
        eight_bit: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._role = role
        self._eight_bit = eight_bit
        self._warn: Callable[[str], None] = warn or warnings.warn
        self._running: list[Generator[Any, None, None]] = []
        self._delays: list[Fraction] = []
        self._folder, head = self._look()
        if self._folder is not None:
            if fps is None:
                raise InputError(
                    f"{self.path} is a folder of frames, which does not say how fast they play.",
                    hint="say it: fps=24",
                )
            self.fps, self.size, self.frames = fps, self._folder.size, len(self._folder)
            self.tick, self.variable = 1 / fps, False
            self.bits = self._folder.bits
        elif head.startswith((b"GIF8", b"\x89PNG")) or head[8:12] == b"WEBP":
            self._probe_animation()
        else:
            facts = self.facts = probe(self.path, head, self.unreadable)
            self.fps, self.size, self.frames, self.comment = facts.rate, facts.size, facts.frames, facts.comment
            self.bits, self.colour, self.tracks = facts.bits, facts.colour, facts.tracks
            self.start, self.tick, self.aspect = facts.start, facts.tick, facts.aspect

    @cached_property
    def alpha(self) -> bool:
        """Whether the frames of `timed` have alpha. An animated picture is looked through until some shows."""
        if self.facts is not None:
            return self.facts.alpha
        if self._folder is not None:
            return self._folder.alpha
        return any(bool((image[..., 3] < 255).any()) for image in self._animation())

    @property
    def is_stream(self) -> bool:
        """Whether it is a video file, not a folder or an animated picture."""
        return self.facts is not None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the readings that are under way."""
        while self._running:
            self._running.pop().close()

    def __iter__(self) -> Iterator[Image]:
        if self._folder is not None:
            return iter(self._folder)
        return self._kept(self._video() if self.facts is not None else self._on_white())

    def timed(self) -> Iterator[SourceFrame]:
        """Every frame with its time and duration, decoded one after the other and converted when asked for.

        The first frame has time 0; times are exact and strictly ascending, also where the rate varies. Missing
        or disordered stamps are set by the rate, with a warning. Nothing is kept but the frame that comes next.

        Raises:
            InputError: More than 8 bits per channel without `eight_bit`, a colour matrix that is not known, fewer
                than two frames; and while reading as when iterating.
        """
        if self.bits > 8 and not self._eight_bit:
            raise too_deep(str(self.path), self.bits, self.colour)
        if self._folder is not None:
            return even_frames(self._folder.pictures(), self.fps, str(self.path))
        if self.facts is None:
            images = (image if self.alpha else image[..., :3].copy() for image in self._animation())
            return self._kept(delayed_frames(images, self._delays, str(self.path)))
        if self.facts.matrix is not None:
            raise InputError(
                f"{self.path} has colours by matrix {self.facts.matrix} of ITU-T H.273, which cannot be read here.",
                hint="convert it before, e.g. with ffmpeg -vf scale=out_color_matrix=bt709",
            )
        if self.colour is not None and self.colour.transfer in HDR:
            curve = HDR[self.colour.transfer]
            self._warn(f"{self.path} is HDR; its {curve} curve is kept and named, but 8 bits of it show steps.")
        frames = decoded(self.path, self.facts, self.unreadable, alpha=self.facts.alpha)
        return self._kept(stream_frames(frames, self.facts, str(self.path), self._told, self._warn))

    def _kept(self, frames: Generator[Any, None, None]) -> Iterator[Any]:
        self._running.append(frames)
        return frames

    def _told(self, variable: bool) -> None:
        self.variable = variable

    def _look(self) -> tuple[FrameFolder | None, bytes]:
        """The folder, or the first bytes of the file."""
        try:
            if self.path.is_dir():
                return FrameFolder(self.path), b""
            with self.path.open("rb") as file:
                head = file.read(64)
        except FileNotFoundError:
            raise no_such_file(self.path, self._role) from None
        except (OSError, ValueError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            raise InputError(f"{self.path} cannot be read: {reason}.") from error
        if not head:
            raise self.unreadable("0 bytes")
        return None, head

    def unreadable(self, why: str) -> InputError:
        """The error that says why the file cannot be read."""
        named = f"it was named as {self._role}; " if self._role else ""
        return InputError(f"{self.path} is not a video this program can read ({why}).", hint=f"{named}{_READABLE}")

    def _probe_animation(self) -> None:
        data = self.path.read_bytes()
        header = open_header(data, str(self.path), self._role)
        try:
            self.size, self.frames = header.size, header.n_frames
            delays = animated.delays(header, data)
        except Exception as error:  # a decoder fed with broken bytes may raise anything
            raise self.unreadable(f"broken or truncated: {error}") from error
        clock = Fraction(10 if header.format == "GIF" else 1)  # milliseconds
        self.fps = animated.simplest_rate(len(delays), sum(delays, Fraction(0)), clock)
        self.tick = clock / 1000
        self.variable = max(delays) - min(delays) > clock
        self.bits = data[24] if header.format == "PNG" and data[24] > 8 else 8  # in IHDR, always the first chunk
        comment = header.info.get("comment", b"")
        self.comment = comment.decode(errors="replace") if isinstance(comment, bytes) else str(comment)
        self._delays = delays

    def _video(self) -> Generator[Image, None, None]:
        assert self.facts is not None
        for frame in decoded(self.path, self.facts, self.unreadable, alpha=False):
            yield to_rgb(frame)

    def _on_white(self) -> Generator[Image, None, None]:
        for rgba in self._animation():
            yield lay_on(rgba[..., :3].copy(), rgba[..., 3], 255)

    def _animation(self) -> Generator[Image, None, None]:
        header = open_header(self.path.read_bytes(), str(self.path), self._role)
        for index in range(header.n_frames):
            try:
                image = animated.picture(header, index)
            except Exception as error:  # as above
                raise self.unreadable(f"frame {index} is broken: {error}") from error
            yield image
