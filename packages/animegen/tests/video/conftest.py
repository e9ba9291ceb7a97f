"""Films with everything in them, drawn and coded here; what is in a file, packet by packet."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animegen.video import (
    VideoReader,
    clock,
    segment,
)

FILM = Fraction(24000, 1001)


def _drawn(count: int = 8, height: int = 48, width: int = 64, channels: int = 3) -> np.ndarray:
    """A soft picture that moves two pixels a frame, with a disc of another speed."""
    y, x = np.mgrid[:height, : width + 2 * count]
    wide = np.stack([x * 2 % 256, y * 3 % 256, (x + y) % 256, 255 * x // x.max()], axis=2).astype(np.uint8)
    frames = np.stack([wide[:, 2 * i : 2 * i + width, :channels] for i in range(count)])
    for index in range(count):
        frames[index, 10:20, (7 * index) % width : (7 * index) % width + 9, :3] = (255, 30, 10)
    return frames


def _source(
    path: Path,
    images: np.ndarray,
    stamps: list[int],
    tick: Fraction,
    *,
    rate: Fraction = Fraction(24),
    tags: dict[str, int] | None = None,
    sounds: tuple[str, ...] = (),
    texts: tuple[str, ...] = (),
    font: bytes = b"",
    late: Fraction = Fraction(0),
) -> Path:
    """A film: H.264 with pictures between pictures, two seconds of sound, subtitles, chapters and tags."""
    with av.open(str(path), "w") as output:
        output.metadata.update({"title": "My film", "comment": "of mine"})
        stream: Any = output.add_stream("libx264", rate=rate, options={"bf": "3"}, time_base=tick)
        stream.height, stream.width, stream.pix_fmt = *images.shape[1:3], "yuv420p"
        stream.metadata["language"] = "jpn"
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        tracks: list[Any] = []
        for index, name in enumerate(sounds):
            tracks.append(output.add_stream(name, rate=48000))
            tracks[-1].metadata.update({"language": ("jpn", "eng")[index], "title": f"sound {index}"})
        words = [output.add_mux_stream(name, time_base=Fraction(1, 1000)) for name in texts]
        if font:
            output.add_attachment("font.ttf", "font/ttf", font)
        second = Fraction(1, 1000)
        output.set_chapters([
            {"id": 1, "start": 0, "end": 1000, "time_base": second, "metadata": {"title": "One"}},
            {"id": 2, "start": 1000, "end": 2000, "time_base": second, "metadata": {"title": "Two"}},
        ])  # fmt: skip
        for image, stamp in zip(images, stamps, strict=True):
            frame: Any = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = stamp + round(late / tick), tick
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        for track in tracks:
            frames = [(np.sin(np.arange(k, k + 960) / 20) * 9000).astype(np.int16) for k in range(0, 96000, 960)]
            for index, samples in enumerate(frames):
                sound = av.AudioFrame.from_ndarray(np.stack([samples] * 2).T.reshape(1, -1), "s16", "stereo")
                sound.sample_rate, sound.pts, sound.time_base = 48000, 960 * index, Fraction(1, 48000)
                output.mux(track.encode(sound))
            output.mux(track.encode(None))
        for word, name in zip(words, texts, strict=True):
            for start, text in ((500, "Hello"), (1400, "Good bye")):
                line = text if name == "subrip" else f"{start},0,Default,,0,0,0,,{text}"
                packet = av.Packet(line.encode())
                packet.stream, packet.time_base = word, Fraction(1, 1000)
                packet.pts = packet.dts = start
                packet.duration, packet.is_keyframe = 400, True
                output.mux(packet)
    return path


def _segmented(
    reader: VideoReader, folder: Path, codec: Any, each: int, **more: Any
) -> tuple[list[Path], Any, list[Any]]:
    """Segments of `each` frames, when the last ends, and the frames."""
    folder.mkdir(exist_ok=True)
    frames = list(reader.timed())
    paths = []
    for start in range(0, len(frames), each):
        paths.append(folder / f"{start:06d}.nut")
        alpha = reader.alpha and codec == "ffv1"
        options = {"tick": clock(reader, 1), "aspect": reader.aspect} | more
        with segment(paths[-1], reader.size, reader.fps, codec, reader.colour, alpha, **options) as put:
            for frame in frames[start : start + each]:
                put(frame.image(), frame.time)
    last = frames[-1]
    return paths, None if last.duration is None else last.time + last.duration, frames


def _packets(path: Path, kind: str, number: int = 0) -> list[tuple[bytes, Fraction]]:
    """What a track holds, and when, in seconds from the first picture."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(getattr(container.streams, kind)[number]) if packet.size]
    return [(bytes(packet), packet.pts * Fraction(packet.time_base) - first.pts * first.time_base) for packet in found]


@pytest.fixture
def drawn() -> Callable[..., Any]:
    """``drawn(count, height, width, channels)``: a soft picture that moves, (count, height, width, channels) uint8."""
    return _drawn


@pytest.fixture
def source() -> Callable[..., Any]:
    """``source(path, images, stamps, tick, ...)``: a film with sound, subtitles, chapters and tags."""
    return _source


@pytest.fixture
def segmented() -> Callable[..., Any]:
    """``segmented(reader, folder, codec, each)``: paths of segments, when the last ends, and the frames."""
    return _segmented


@pytest.fixture
def packets() -> Callable[..., Any]:
    """``packets(path, kind, number)``: what a track holds, and when."""
    return _packets
