"""Frames with their times, as the upsampler takes them."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av.error

from animegen.errors import InputError
from animegen.upsampling.frames import ArrayFrame, luma_of
from animegen.video.colour import HDR, luma, to_rgb, to_rgba
from animegen.video.stamps import Stamps

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame
    from animegen.video.stream import Facts

_LONGEST = 10
"""Seconds up to which a last frame's duration is believed; a tag may be that of another file."""


class StreamFrame:
    """A `SourceFrame` that is decoded and not converted yet; any thread may ask for its picture.

    Args:
        index: Its number, from 0.
        time: Seconds since the first frame.
        duration: Seconds, or None.
        frame: libav's frame, which is dropped as soon as picture and luma are made.
        alpha: Whether the picture has four channels.
    """

    def __init__(self, index: int, time: Fraction, duration: Fraction | None, frame: Any, *, alpha: bool) -> None:
        self.index = index
        self.time = time
        self.duration = duration
        self._frame, self._alpha = frame, alpha
        self._image: Image | None = None
        self._luma: Image | None = None
        self._lock = threading.Lock()  # converting marks the frame for a moment

    def __repr__(self) -> str:
        return f"StreamFrame({self.index}, {self.time})"

    def image(self) -> Image:
        with self._lock:
            return self._picture()

    def luma(self) -> Image:
        with self._lock:
            if self._luma is None:
                plane = luma(self._frame) if self._frame is not None else None
                self._luma = luma_of(self._picture()) if plane is None else plane.copy()
                self._drop()
            return self._luma

    def _picture(self) -> Image:
        if self._image is None:
            try:
                self._image = (to_rgba if self._alpha else to_rgb)(self._frame)
            except av.error.FFmpegError as error:
                name = self._frame.format.name
                raise InputError(f"frame {self.index} ({name}) cannot be converted: {error.strerror}.") from error
            self._drop()
        return self._image

    def _drop(self) -> None:
        if self._image is not None and self._luma is not None:
            self._frame = None


def stream_frames(
    frames: Generator[Any, None, None],
    facts: Facts,
    name: str,
    told: Callable[[bool], None],
    warn: Callable[[str], None],
) -> Generator[SourceFrame, None, None]:
    """libav's `frames` with their times, one behind, so that each has the duration it is really shown for.

    Args:
        frames: In order of showing.
        facts: Of their file.
        name: Of their file, for messages.
        told: Called with whether the rate varies, when that is known.
        warn: Called with one sentence, at most once for each thing that is odd about the file.
    """
    stamps = Stamps(facts.tick, facts.rate)
    waiting: Any = None
    index = 0
    time = Fraction(0)
    interlaced = uneven = False
    for frame in frames:
        if frame.interlaced_frame and not interlaced:
            interlaced = True
            warn(
                f"{name} is interlaced; its frames are taken as they are, with the lines of two moments in each. "
                "Deinterlace it before, e.g. with ffmpeg -vf bwdif."
            )
        before, repaired = time, stamps.repaired
        time = stamps.time(frame.pts if frame.pts is not None else frame.dts)
        if stamps.repaired and not repaired:
            warn(
                f"{name} has frames without a usable time stamp (the first is frame {index}); "
                f"their times are set by its {float(facts.rate):.6g} frames per second."
            )
        if stamps.uneven and not uneven:
            uneven = True
            told(True)
        if waiting is not None:
            yield StreamFrame(index - 1, before, time - before, waiting, alpha=facts.alpha)
        waiting = frame
        index += 1
    if index < 2:
        raise _too_few(name, index)
    told(stamps.uneven)
    yield StreamFrame(index - 1, time, _last(waiting, time, facts, stamps), waiting, alpha=facts.alpha)


def _last(frame: Any, time: Fraction, facts: Facts, stamps: Stamps) -> Fraction | None:
    """How long the last frame is shown."""
    named = (frame.duration or 0) * facts.tick
    if facts.end is not None:
        left = facts.end - facts.start - time
        # MP4 counts the distances of decoding, which are not those of showing; and lengths in milliseconds.
        if 0 < left <= _LONGEST and abs(left - named) > Fraction(1, 1000):
            named = left
    return stamps.settled(named) if named > 0 else None


def even_frames(images: Iterable[Image], fps: Fraction, name: str) -> Generator[SourceFrame, None, None]:
    """`images` at `fps` frames per second."""
    yield from _at_least_two(
        (ArrayFrame(index, index / fps, image, 1 / fps) for index, image in enumerate(images)), name
    )


def delayed_frames(
    images: Iterable[Image], delays: Sequence[Fraction], name: str
) -> Generator[SourceFrame, None, None]:
    """`images`, each shown for its one of `delays`, in milliseconds."""

    def stamped() -> Iterator[ArrayFrame]:
        time = Fraction(0)
        for index, (image, delay) in enumerate(zip(images, delays, strict=True)):
            yield ArrayFrame(index, time, image, delay / 1000)
            time += delay / 1000

    yield from _at_least_two(stamped(), name)


def too_deep(name: str, bits: int, colour: Any) -> InputError:
    """The error for more than 8 bits per channel."""
    hdr = HDR.get(colour.transfer) if colour is not None else None
    what = f"HDR ({hdr}), {bits} bit" if hdr else f"{bits} bit"
    return InputError(
        f"{name} is {what} per channel; frames are drawn with 8, and would lose the rest.",
        hint="to have it in 8 bits all the same: --eight-bit",
    )


def _at_least_two(frames: Iterator[ArrayFrame], name: str) -> Iterator[SourceFrame]:
    first = next(frames, None)
    second = next(frames, None)
    if first is None or second is None:
        raise _too_few(name, 0 if first is None else 1)
    yield first
    yield second
    yield from frames


def _too_few(name: str, count: int) -> InputError:
    held = "one frame" if count else "no frames"
    return InputError(f"{name} holds {held}; frames are drawn between two.", hint="name a video of two frames or more")
