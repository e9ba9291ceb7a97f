"""``animegen upsample`` and bad input: one line of error, a hint where there is a way, the right exit code."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animegen.imageio import write_image
from animegen.video import write_folder, write_video

Call = Callable[..., Any]

FPS = Fraction(12)


def moving(count: int, picture: Call, width: int = 64, height: int = 48) -> list[np.ndarray]:
    return [picture(width, height, 3 * index) for index in range(count)]


def deep(path: Path, images: list[np.ndarray], *, pq: bool = False) -> None:
    """A 10-bit video, HDR by PQ if asked for."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=12)
        video.width, video.height, video.pix_fmt = images[0].shape[1], images[0].shape[0], "yuv420p10le"
        if pq:
            context = video.codec_context
            context.color_trc, context.color_primaries, context.colorspace = 16, 9, 9
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p10le")
            frame.pts, frame.time_base = index, Fraction(1, 12)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))


Make = Callable[[Path, list[np.ndarray]], tuple[Any, ...]]


def _broken(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    write_video(path / "b.mp4", images, FPS)
    data = (path / "b.mp4").read_bytes()
    (path / "b.mp4").write_bytes(data[: len(data) // 2])
    return ("b.mp4",)


def _broken_inside(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    write_video(path / "b.mp4", images, FPS)
    data = bytearray((path / "b.mp4").read_bytes())
    start = len(data) * 3 // 4
    data[start:] = bytes(len(data) - start)
    (path / "b.mp4").write_bytes(data)
    return ("b.mp4",)


def _text(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    (path / "t.mp4").write_text("no video at all")
    return ("t.mp4",)


def _empty(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    (path / "e.mp4").write_bytes(b"")
    return ("e.mp4",)


def _sound_alone(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    with av.open(str(path / "s.mp4"), "w") as output:
        sound = output.add_stream("aac", rate=44100)
        part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        part.sample_rate, part.pts = 44100, 0
        output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    return ("s.mp4",)


def _one_frame(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    write_video(path / "one.mkv", images[:1], FPS)
    return ("one.mkv",)


def _one_picture(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    write_folder(path / "one", images[:1])
    return ("one", "--source-fps", 12)


def _no_pictures(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    (path / "none").mkdir()
    return ("none", "--source-fps", 12)


def _no_rate(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    write_folder(path / "pictures", images)
    return ("pictures",)


def _ten_bits(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    deep(path / "deep.mkv", images)
    return ("deep.mkv",)


def _hdr(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    deep(path / "hdr.mkv", images, pq=True)
    return ("hdr.mkv",)


def _large(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    return (*_film(path, images), "--max-pixels", 100)


def _film(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    write_video(path / "film.mkv", images, FPS)
    return ("film.mkv",)


def _alpha(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    from PIL import Image

    half = np.full(images[0].shape[:2], 128, np.uint8)
    pictures = [Image.fromarray(np.dstack([image, half])) for image in images]
    pictures[0].save(path / "alpha.webp", save_all=True, append_images=pictures[1:], duration=100, lossless=True)
    return ("alpha.webp", "--format", "mp4")


def _pipe(path: Path, images: list[np.ndarray]) -> tuple[Any, ...]:
    os.mkfifo(path / "pipe.mp4")
    return ("pipe.mp4",)


def _and(*more: Any) -> Make:
    return lambda path, images: (*_film(path, images), *more)


BAD: dict[str, tuple[Make, int, str, str]] = {
    "broken video": (_broken, 4, "b.mp4 is not a video", ""),
    "broken inside": (_broken_inside, 4, "b.mp4 is not a video", ""),
    "text": (_text, 4, "t.mp4 is not a video", ""),
    "empty file": (_empty, 4, "0 bytes", ""),
    "no video stream": (_sound_alone, 4, "no picture, only sound", ""),
    "one frame": (_one_frame, 4, "one frame", ""),
    "one picture": (_one_picture, 4, "one frame", ""),
    "no pictures": (_no_pictures, 4, "holds no frames", ""),
    "folder without a rate": (_no_rate, 2, "does not say how fast", "--source-fps 24"),
    "rate of a file": (_and("--source-fps", 12), 2, "for a folder", ""),
    "10 bits": (_ten_bits, 4, "10 bit", "--eight-bit"),
    "HDR": (_hdr, 4, "HDR (PQ)", "--eight-bit"),
    "alpha in MP4": (_alpha, 2, "alpha", ".mkv"),
    "too large": (_large, 4, "64x48", "--max-pixels"),
    "missing": (lambda *_: ("nothing.mp4",), 4, "nothing.mp4", ""),
    "no video named": (lambda *_: (), 2, "VIDEO is missing", "animegen upsample VIDEO"),
    "factor below 1": (_and("--factor", "0.5"), 2, "factor is 0.5", "--fps"),
    "factor 1": (_and("--factor", 1), 2, "factor is 1", "--fps"),
    "factor 0": (_and("--factor", 0), 2, "factor is 0", "--fps"),
    "factor 2.5": (_and("--factor", "2.5"), 2, "factor is 2.5", "--fps 60"),
    "factor of words": (_and("--factor", "many"), 2, "'many'", ""),
    "fps not above": (_and("--fps", 12), 2, "12", "--fps 24"),
    "fps below": (_and("--fps", "8"), 2, "12", ""),
    "fps no number": (_and("--fps", "fast"), 2, "'fast'", ""),
    "factor and fps": (_and("--factor", 2, "--fps", 30), 2, "both say how many", "leave one out"),
    "unknown stage": (_and("--with", "flwo"), 2, "flwo", "did you mean 'flow'"),
    "fixed count": (_and("--with", "sixteen"), 2, "always makes 16 frames", "any time"),
    "no stage": (_and("--with", "none"), 2, "needs a stage", "--with flow"),
    "weights absent": (_and("--with", "heavy"), 3, "heavy.pt", "animegen weights fetch"),
    "option of another": (_and("--with", "flow", "-o", "heavy.x=1"), 2, "", ""),
    "unknown option": (_and("--with", "flow", "-o", "upsampler.linse=1"), 2, "linse", "did you mean 'lines'"),
    "cuts are no list": (_and("--cuts", "twelve"), 2, "neither a list", "12,57"),
    "cuts of nothing": (_and("--cuts", ""), 2, "names no frame", "12,57"),
    "cuts of commas": (_and("--cuts", " , "), 2, "names no frame", "12,57"),
    "cuts are no text": (_and("--cuts", "film.mkv"), 4, "film.mkv is no list of cuts: it is not text", "12,57"),
    "cuts are a folder": (_and("--cuts", "."), 4, "Is a directory", "12,57"),
    "cut at the start": (_and("--cuts", "0,5"), 2, "frame 0 begins", "12,57"),
    "cut threshold 0, planned": (_and("--cut-threshold", 0, "--dry-run"), 2, "more than 0", "0.47"),
    "a pipe": (_pipe, 4, "is a pipe or a device", "save it as a file"),
    "a device": (lambda *_: ("/dev/null",), 4, "is a pipe or a device", "save it as a file"),
    "cut threshold": (_and("--cut-threshold", "1.5"), 2, "0 .. 1", ""),
    "unknown format": (_and("--format", "mov"), 2, "'mov'", ""),
    "unknown policy": (_and("--duplicates", "drop"), 2, "'drop'", ""),
    "resume and force": (_and("--resume", "--force"), 2, "--resume keeps", ""),
    "out is a file": (_and("--out", "film.mkv"), 5, "film.mkv", ""),
    "out of memory": (_and("--with", "greedy"), 5, "out of memory", "--resume"),
    "out of memory on a device": (_and("--with", "device"), 5, "out of memory on cuda:0", "--resume"),
    "out of memory at once": (_and("--with", "huge"), 5, "out of memory", "--resume"),
    "a bug in the stage": (_and("--with", "wrong"), 1, "wrong", "animegen plugins check"),
}

STAGES = """
    from animegen import InterpolatorSpec, Weight, hookimpl

    @hookimpl
    def animegen_interpolators():
        weight = Weight("heavy.pt", ("https://example.org/heavy.pt",), "MIT", size=10)
        return [
            InterpolatorSpec("sixteen", "animegen_bad:Wrong", "Sixteen.", frames=16),
            InterpolatorSpec("heavy", "animegen_bad:Wrong", "With weights.", weights=(weight,)),
            InterpolatorSpec("greedy", "animegen_bad:Greedy", "Wants memory."),
            InterpolatorSpec("device", "animegen_bad:Device", "Wants memory of a device, and says so itself."),
            InterpolatorSpec("huge", "animegen_bad:Huge", "Wants memory when it is opened."),
            InterpolatorSpec("wrong", "animegen_bad:Wrong", "Gives nothing."),
        ]

    class Wrong:
        def __init__(self, options, context):
            pass

        def __call__(self, first, last, times, *, prompt="", seed=0):
            return None

    class Greedy(Wrong):
        def __call__(self, first, last, times, *, prompt="", seed=0):
            raise MemoryError("Unable to allocate 31 GiB")

    class Device(Wrong):
        def __call__(self, first, last, times, *, prompt="", seed=0):
            from animegen.errors import ResourceError

            raise ResourceError("out of memory on cuda:0 in device.", hint="a smaller size of picture needs less")

    class Huge(Wrong):
        def __init__(self, options, context):
            raise MemoryError("Unable to allocate 31 GiB")
"""


@pytest.mark.parametrize("name", BAD)
def test_bad_input(
    animegen: Call, place: Path, picture: Call, install: Call, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.syspath_prepend(str(install("animegen-bad", STAGES)))
    make, code, said, hint = BAD[name]
    result = animegen("upsample", *make(place, moving(8, picture)))
    assert result.code == code, result.err
    assert len(result.errors) == 1
    assert said in result.errors[0]
    assert "Traceback" not in result.err
    assert "--size" not in result.err  # which this command has not
    assert result.out == ""
    assert hint in "\n".join(line for line in result.err.splitlines() if "hint:" in line)
    assert not list(place.glob("runs/*/clip*"))


def test_a_picture_is_no_video(animegen: Call, place: Path, picture: Call) -> None:
    write_image(place / "p.png", picture(64, 48, 0))
    result = animegen("upsample", "p.png")
    assert (result.code, len(result.errors)) == (4, 1)
