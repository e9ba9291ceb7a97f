"""Frames from the middle of a file, the same ones with the same times as when it is read from its beginning."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av.error

from animegen.video.stream import Facts, open_file
from animegen.video.tracks import picture_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from animegen.errors import InputError

_BACK = (0, 2, 10, 60)
"""Seconds before the place looked for at which it is looked for, one after the other: an index may be coarse."""


def last_time(path: Path, facts: Facts) -> Fraction | None:
    """Seconds from the first frame to the last one by the stamps of the packets, without decoding any.

    Returns:
        None where stamps are missing, doubled, or begin before the first frame: such a file is to be read from its
        beginning, since its frames have no times of their own.
    """
    stamps = set()
    with open_file(path) as container:
        stream = picture_stream(container)
        tick: Fraction = Fraction(stream.time_base)
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:
                continue
            if packet.pts is None or packet.pts in stamps or packet.is_corrupt:
                return None
            stamps.add(packet.pts)
    if not stamps or min(stamps) * tick != facts.start:
        return None
    last: Fraction = max(stamps) * tick - facts.start
    return last


def frames_from(
    path: Path, facts: Facts, time: Fraction, refuse: Callable[[str], InputError]
) -> Generator[tuple[Fraction, Any], None, None]:
    """libav's frames with their seconds since the first one, beginning with the one that is shown at `time`.

    For a file with a `last_time`.

    Args:
        path, facts: The file.
        time: Seconds; 0 reads from the beginning.
        refuse: Makes the error for a reason.
    """
    for back in _BACK if time > 0 else ():
        frames = _frames(path, facts, max(time - back, Fraction(0)), refuse)
        held = next(frames, None)
        if held is not None and held[0] <= time:
            break
        frames.close()
    else:
        frames = _frames(path, facts, None, refuse)
        held = next(frames, None)
    if held is None:
        return
    for frame in frames:
        if frame[0] > time:
            yield held
        held = frame
    yield held


def _frames(
    path: Path, facts: Facts, near: Fraction | None, refuse: Callable[[str], InputError]
) -> Generator[tuple[Fraction, Any], None, None]:
    """Frames from the key frame at or before `near` on, as far as the file's index knows of it."""
    seconds = near or Fraction(0)
    begun = near is None
    try:
        with open_file(path) as container:
            stream = picture_stream(container)
            tick = Fraction(stream.time_base)
            if near is not None:
                container.seek(int((facts.start + near) / tick), stream=stream, backward=True)
            for frame in container.decode(stream):
                if frame.pts is None:
                    raise refuse(f"a frame at {float(seconds):.2f} s has no time")
                if not begun and not frame.key_frame:
                    continue  # it may lean on frames before the place that was sought
                begun = True
                seconds = frame.pts * tick - facts.start
                if frame.is_corrupt:
                    raise refuse(f"the frame at {float(seconds):.2f} s is broken")
                upright = round(getattr(frame, "rotation", 0) / 90) % 2 == 0
                if ((frame.width, frame.height) if upright else (frame.height, frame.width)) != facts.size:
                    raise refuse(f"the frame at {float(seconds):.2f} s is of another size than those before it")
                yield seconds, frame
    except av.error.FFmpegError as error:
        raise refuse(f"the frame after {float(seconds):.2f} s is broken: {error.strerror}") from error
