"""``animegen upsample``: what it makes of every kind of source, how it goes on, and what it says to bad input."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animegen.imageio import write_image
from animegen.pipeline.record import read_record
from animegen.video import VideoReader, write_folder, write_video
from animegen.video.timed import StreamFrame

Call = Callable[..., Any]
FPS = Fraction(12)


def moving(count: int, picture: Call, width: int = 64, height: int = 48) -> list[np.ndarray]:
    return [picture(width, height, 3 * index) for index in range(count)]


def frames_of(path: Path, **more: Any) -> list[np.ndarray]:
    with VideoReader(path, **more) as video:
        return list(video)


def times_of(path: Path) -> list[Fraction]:
    with VideoReader(path) as video:
        return [frame.time for frame in video.timed()]


def clip_of(result: Any) -> Path:
    assert result.code == 0, result.err
    (line,) = result.out.splitlines()
    return Path(line)


@pytest.fixture
def film(place: Path, picture: Call) -> Path:
    """Ten frames at 12 per second, lossless."""
    write_video(place / "film.mkv", moving(10, picture), FPS)
    return place / "film.mkv"


def with_sound(path: Path, images: list[np.ndarray], rate: int = 12) -> None:
    """A small MP4 with a tone."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = images[0].shape[1], images[0].shape[0], "yuv420p"
        sound = output.add_stream("aac", rate=44100)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        tone = np.sin(np.arange(44100 * len(images) // rate) * 0.05).astype(np.float32)
        for start in range(0, len(tone), 1024):
            part = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
            part.sample_rate, part.pts = 44100, start
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))


def uneven(path: Path, images: list[np.ndarray], milliseconds: list[int], pixels: str = "yuv420p") -> None:
    """An H.264 MP4 whose frames stand for different times."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = images[0].shape[1], images[0].shape[0], pixels
        video.time_base = Fraction(1, 1000)
        video.codec_context.time_base = Fraction(1, 1000)
        for image, stamp in zip(images, milliseconds, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))


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


def test_a_video_becomes_a_smoother_one(animegen: Call, film: Path) -> None:
    result = animegen("upsample", film, "--with", "flow", "--factor", 3, "--format", "mkv")
    clip = clip_of(result)
    source, made = frames_of(film), frames_of(clip)
    assert len(made) == 30
    assert all(np.array_equal(made[3 * index], image) for index, image in enumerate(source))
    assert all(np.array_equal(made[number], source[-1]) for number in (28, 29))
    assert times_of(clip) == [Fraction(number, 36) for number in range(30)]
    assert not np.array_equal(made[1], made[0])
    assert not np.array_equal(made[1], made[2])
    folder = clip.parent
    assert {path.name for path in folder.iterdir()} >= {"clip.mkv", "sheet.png", "run.json"}
    assert not list(folder.parent.glob(".cache/films/*/*[!k]"))  # no segments are left, only the lock
    record = read_record(folder, command="upsample")
    info = record["steps"][0]["info"]
    assert (info["frames_in"], info["frames_out"], info["drawn"]) == (10, 30, 18)
    assert record["outputs"]["seconds"] == pytest.approx(10 / 12, abs=1e-4)
    assert {"reading", "drawing", "writing", "joining"} == set(info["spent"])
    for word in ("plan", "flow x3", "10 > 30 frames", "12 > 36 fps", "need", "at most", "disk", "again"):
        assert word in result.err


def test_json_is_one_document(animegen: Call, film: Path) -> None:
    document = json.loads(animegen("upsample", film, "--with", "crossfade", "--json").out)
    assert (document["status"], document["frames"], document["fps"]) == ("done", 20, "24")
    assert Path(document["clip"]).name == "clip.mp4"


def test_the_stage_that_draws_is_said_with_its_reason(animegen: Call, film: Path) -> None:
    """Without a word it is rife where it is installed with its weights, which it is not here."""
    result = animegen("upsample", film, "--dry-run")
    assert result.code == 0, result.err
    assert "flow x2" in result.err
    assert "flow, as" in result.err
    assert "rife" in result.err
    assert not Path("runs").exists()


def test_a_rate_instead_of_a_factor(animegen: Call, film: Path) -> None:
    clip = clip_of(animegen("upsample", film, "--with", "crossfade", "--fps", "30", "--format", "mkv"))
    assert times_of(clip) == [Fraction(number, 30) for number in range(25)]
    made, source = frames_of(clip), frames_of(film)
    assert np.array_equal(made[5], source[2])  # both at 1/6 s


def test_times_that_vary_are_kept(animegen: Call, place: Path, picture: Call) -> None:
    stamps = [0, 40, 160, 200, 280, 400, 440]
    uneven(place / "v.mp4", moving(7, picture), stamps)
    clip = clip_of(animegen("upsample", "v.mp4", "--with", "crossfade", "--format", "mkv"))
    times = [round(time * 1000) for time in times_of(clip)]
    assert times[::2] == stamps
    assert times[1::2][:-1] == [20, 100, 180, 240, 340, 420]


def test_sound_is_kept_or_left_out(animegen: Call, place: Path, picture: Call) -> None:
    with_sound(place / "s.mp4", moving(24, picture))
    result = animegen("upsample", "s.mp4", "--with", "crossfade")
    with av.open(str(clip_of(result))) as video:
        assert [stream.type for stream in video.streams] == ["video", "audio"]
        assert float(video.duration / 1e6) == pytest.approx(2, abs=0.05)
    assert "audio track" in result.err
    with av.open(str(clip_of(animegen("upsample", "s.mp4", "--with", "crossfade", "--no-tracks")))) as video:
        assert [stream.type for stream in video.streams] == ["video"]
    result = animegen("upsample", "s.mp4", "--with", "crossfade", "--format", "gif")
    assert "GIF cannot hold audio track" in result.err


@pytest.mark.parametrize(("format", "name"), [
    ("mp4", "clip.mp4"), ("mkv", "clip.mkv"), ("webp", "clip.webp"), ("gif", "clip.gif"), ("apng", "clip.apng"),
    ("frames", "frames"),
])  # fmt: skip
def test_every_format(animegen: Call, film: Path, format: str, name: str) -> None:
    clip = clip_of(animegen("upsample", film, "--with", "crossfade", "--format", format))
    assert clip.name == name
    made = frames_of(clip, **({"fps": FPS * 2} if format == "frames" else {}))
    assert len(made) == 20 or (format == "webp" and len(made) == 19)  # which joins equal frames into a longer one
    if format in ("mkv", "apng", "frames"):
        assert all(np.array_equal(a, b) for a, b in zip(made[::2], frames_of(film), strict=True))


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng"])
def test_animated_pictures(animegen: Call, place: Path, picture: Call, suffix: str) -> None:
    write_video(place / f"a.{suffix}", moving(6, picture), Fraction(10))
    clip = clip_of(animegen("upsample", f"a.{suffix}", "--with", "crossfade", "--factor", 2, "--format", "mkv"))
    assert [round(time * 20) for time in times_of(clip)] == list(range(12))


def test_a_folder_of_pictures(animegen: Call, place: Path, picture: Call) -> None:
    write_folder(place / "pictures", moving(5, picture))
    clip = clip_of(animegen("upsample", "pictures", "--source-fps", 10, "--with", "flow", "--format", "frames"))
    made = frames_of(clip, fps=Fraction(20))
    assert len(made) == 10
    assert all(np.array_equal(a, b) for a, b in zip(made[::2], frames_of(Path("pictures"), fps=FPS), strict=True))


def test_the_folder_of_an_earlier_run(animegen: Call, pair: tuple[Path, Path], quick: tuple[str, ...]) -> None:
    """Its exact frames, not the coded clip, and its own rate; then the result once more."""
    run = clip_of(animegen("run", *pair, *quick, "--fps", 6)).parent
    clip = clip_of(animegen("upsample", run, "--with", "crossfade", "--format", "mkv"))
    made = frames_of(clip)
    assert all(np.array_equal(a, b) for a, b in zip(made[::2], frames_of(run / "frames", fps=FPS), strict=True))
    with VideoReader(clip) as video:
        assert video.fps == 12
    again = clip_of(animegen("upsample", clip.parent, "--with", "crossfade", "--factor", 2, "--format", "mkv"))
    assert len(frames_of(again)) == 4 * 3


def test_alpha_is_kept(animegen: Call, place: Path, picture: Call) -> None:
    from PIL import Image

    images = []
    for index in range(4):
        alpha = np.full((48, 64), 255, np.uint8)
        alpha[:, : 8 * index] = 0
        images.append(Image.fromarray(np.dstack([picture(64, 48, 3 * index), alpha])))
    images[0].save(place / "a.png", save_all=True, append_images=images[1:], duration=100)
    result = animegen("upsample", "a.png", "--with", "crossfade")
    clip = clip_of(result)
    assert clip.name == "clip.mkv"
    assert "alpha" in result.err
    with VideoReader(clip) as video:
        assert video.alpha
        made = [frame.image() for frame in video.timed()]
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(made[::2], images, strict=True))
    assert 100 < made[1][0, 4, 3] < 150  # half there


def test_cuts_are_found_shown_and_not_drawn_across(animegen: Call, place: Path, picture: Call) -> None:
    noise = np.random.default_rng(3)
    other = [
        np.roll(image, index, 1) for index, image in enumerate([noise.integers(0, 256, (48, 64, 3), np.uint8)] * 5)
    ]
    write_video(place / "cut.mkv", moving(5, picture) + other, FPS)
    result = animegen("upsample", "cut.mkv", "--with", "crossfade", "--format", "mkv")
    clip = clip_of(result)
    info = read_record(clip.parent)["steps"][0]["info"]
    assert info["cuts"] == [{"frame": 5, "time": pytest.approx(5 / 12, abs=1e-4)}]
    made = frames_of(clip)
    assert np.array_equal(made[9], made[8])  # held, not mixed
    assert "before frame 5 (0.42 s)" in result.err
    Path("cuts.txt").write_text("# by hand\n3\n")
    clip = clip_of(animegen("upsample", "cut.mkv", "--with", "crossfade", "--format", "mkv", "--cuts", "cuts.txt"))
    record = read_record(clip.parent)
    assert [cut["frame"] for cut in record["steps"][0]["info"]["cuts"]] == [3]
    assert record["settings"]["upsample"]["cuts"] == "3"
    made = frames_of(clip)
    assert np.array_equal(made[5], made[4])
    assert not np.array_equal(made[9], made[8])
    clip = clip_of(animegen("upsample", "cut.mkv", "--with", "crossfade", "--cuts", "none"))
    assert read_record(clip.parent)["steps"][0]["info"]["cuts"] == []


def test_duplicates_are_left_held_or_retimed(animegen: Call, place: Path, picture: Call) -> None:
    drawings = moving(5, picture)
    write_video(place / "twos.mkv", [image for image in drawings for _ in range(2)], FPS)
    found = {}
    for policy in ("leave", "hold", "retime"):
        clip = clip_of(
            animegen("upsample", "twos.mkv", "--with", "crossfade", "--duplicates", policy, "--format", "mkv")
        )
        made = frames_of(clip)
        assert len(made) == 20
        assert np.array_equal(made[0], drawings[0])
        assert np.array_equal(made[4], drawings[1])
        found[policy] = len({image.tobytes() for image in made})
        doubles = read_record(clip.parent)["steps"][0]["info"]["duplicates"]
        assert doubles["frames"] == (0 if policy == "leave" else 5)
        assert doubles["retimed_frames"] == (4 if policy == "retime" else 0)
    assert found["leave"] == found["hold"] == 9
    assert found["retime"] == 5 + 4 * 3


def test_an_opaque_film_is_not_made_rgb_to_look_for_duplicates(
    animegen: Call, place: Path, picture: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Luma is enough, which the decoder has: with `hold`, only drawings are converted."""
    made: list[int] = []
    picture_of = StreamFrame._picture
    monkeypatch.setattr(StreamFrame, "_picture", lambda self: made.append(self.index) or picture_of(self))
    monkeypatch.setattr("animegen.film.workers._make_pictures", lambda *_: None)
    monkeypatch.setattr("animegen.film.film.fill", lambda *_, **__: iter(()))
    images = moving(4, picture)
    with_sound(place / "twos.mp4", [images[index // 2] for index in range(8)])
    animegen("upsample", "twos.mp4", "--with", "crossfade", "--duplicates", "hold")
    assert made == []


def test_two_devices_give_the_same_film(animegen: Call, place: Path, picture: Call) -> None:
    write_video(place / "long.mkv", moving(150, picture), FPS)
    clips = [
        clip_of(
            animegen("upsample", "long.mkv", "--with", "flow", "--device", device, "--out", device.replace(",", ""))
        )
        for device in ("cpu", "cpu,cpu")
    ]
    assert clips[0].read_bytes() == clips[1].read_bytes() or len(frames_of(clips[0])) == 300
    one, two = map(frames_of, clips)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_device_that_no_stage_uses_is_said(animegen: Call, film: Path) -> None:
    result = animegen("upsample", film, "--with", "flow", "--device", "cuda:0", "--dry-run")
    assert "cuda:0: not used, as flow works on the CPU" in result.err


def test_settings_come_in_layers(animegen: Call, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("animegen.toml").write_text('[upsample]\nfactor = 5\nupsampler = "crossfade"\n\n[run]\ndevice = "cpu"\n')
    monkeypatch.setenv("ANIMEGEN_UPSAMPLE_MAX_RUN", "9")
    clip = clip_of(animegen("upsample", film, "--fps", "30"))
    run = read_record(clip.parent)["run"]
    assert run["fps"] == {"value": "30", "source": "command line"}
    assert run["factor"] == {"value": None, "source": "default"}
    assert run["upsampler"] == {"value": "crossfade", "source": "animegen.toml"}
    assert run["max_run"] == {"value": 9, "source": "environment"}
    assert run["device"] == {"value": "cpu", "source": "animegen.toml"}
    shown = json.loads(animegen("config", "show", "--json").out)["settings"]["upsample"]
    assert shown["factor"] == {"value": 5, "source": "animegen.toml"}


def test_from_makes_the_same_film_again(animegen: Call, film: Path) -> None:
    clip = clip_of(animegen("upsample", film, "--with", "flow", "-o", "upsampler.lines=0.5", "--factor", 3))
    again = clip_of(animegen("upsample", "--from", clip.parent / "run.json", "--out", "again"))
    assert again.read_bytes() == clip.read_bytes()
    assert read_record(again.parent)["steps"][0]["options"]["lines"]["value"] == 0.5
    write_video(film, list(reversed(frames_of(film))), FPS)
    changed = animegen("upsample", "--from", clip.parent / "run.json")
    assert (changed.code, len(changed.errors)) == (4, 1)
    assert "has changed" in changed.err


def test_a_record_of_the_other_command_says_what_to_type(
    animegen: Call, film: Path, pair: tuple[Path, Path], quick: tuple[str, ...]
) -> None:
    upsampled = clip_of(animegen("upsample", film, "--with", "crossfade")).parent / "run.json"
    run = clip_of(animegen("run", *pair, *quick)).parent / "run.json"
    for command, record, right in (("run", upsampled, "upsample"), ("upsample", run, "run")):
        result = animegen(command, "--from", record)
        assert result.code == 2
        assert f"hint: animegen {right} --from {record}" in result.err


def test_resume_gives_a_finished_film_back(animegen: Call, film: Path) -> None:
    first = clip_of(animegen("upsample", film, "--with", "crossfade"))
    result = animegen("upsample", film, "--with", "crossfade", "--resume")
    assert clip_of(result) == first
    assert "finished before" in result.err
    other = animegen("upsample", film, "--with", "crossfade")
    assert clip_of(other) != first
    assert f"made before, in {first.parent}" in other.err


def test_help_lists_its_options(animegen: Call) -> None:
    text = animegen("upsample", "--help").out
    for flag in ("--with", "--factor", "--fps", "--cuts", "--duplicates", "--no-tracks", "--eight-bit", "--resume"):
        assert flag in text


# Bad input: one line of error, a hint where there is something to do, the right exit code.

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
    "cut threshold": (_and("--cut-threshold", "1.5"), 2, "0 .. 1", ""),
    "unknown format": (_and("--format", "mov"), 2, "'mov'", ""),
    "unknown policy": (_and("--duplicates", "drop"), 2, "'drop'", ""),
    "resume and force": (_and("--resume", "--force"), 2, "--resume keeps", ""),
    "out is a file": (_and("--out", "film.mkv"), 5, "film.mkv", ""),
    "out of memory": (_and("--with", "greedy"), 5, "out of memory", "--resume"),
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


@pytest.mark.parametrize("size", [(63, 47), (1, 9), (64, 33)])
@pytest.mark.parametrize("format", ["mp4", "mkv"])
def test_odd_sizes(animegen: Call, place: Path, size: tuple[int, int], format: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (4, size[1], size[0], 3), np.uint8)
    write_video(place / "odd.mkv", list(noise), FPS)
    clip = clip_of(animegen("upsample", "odd.mkv", "--with", "crossfade", "--format", format, "--cuts", "none"))
    made = frames_of(clip)
    assert len(made) == 8
    if format == "mkv":
        assert all(np.array_equal(a, b) for a, b in zip(made[::2], noise, strict=True))


@pytest.mark.parametrize("pq", [False, True])
def test_deep_sources_in_eight_bits(animegen: Call, place: Path, picture: Call, pq: bool) -> None:
    images = moving(4, picture)
    deep(place / "deep.mkv", images, pq=pq)
    result = animegen("upsample", "deep.mkv", "--with", "crossfade", "--eight-bit", "--format", "mkv")
    made = frames_of(clip_of(result))
    assert len(made) == 8
    assert np.abs(made[0].astype(int) - images[0]).mean() < (60 if pq else 6)
    assert ("HDR" in result.err) == pq


# Stopped at any moment, it goes on and ends the same.

SLOW = """
    import time
    import numpy as np
    from animegen import InterpolatorSpec, hookimpl

    @hookimpl
    def animegen_interpolators():
        return [InterpolatorSpec("slow", "animegen_slow:Slow", "A dissolve that takes its time.")]

    class Slow:
        def __init__(self, options, context):
            pass

        def __call__(self, first, last, times, *, prompt="", seed=0):
            time.sleep(0.01 * len(times))
            return np.stack([np.rint(first * (1 - t) + last * t) for t in times]).astype(np.uint8)
"""


@pytest.fixture
def slow(install: Call) -> dict[str, str]:
    return {"PYTHONPATH": str(install("animegen-slow", SLOW))}


def segments(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.glob("*/.cache/films/*/*/*.nut")}


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(
    animegen_process: Call, finish: Call, place: Path, picture: Call, slow: dict[str, str], device: str
) -> None:
    write_video(place / "film.mkv", moving(90, picture), FPS)
    args = ("upsample", "film.mkv", "--with", "slow", "--factor", 3, "--device", device)
    whole = finish(*args, "--out", "whole", env=slow)
    clip = clip_of(whole)
    seen: dict[str, bytes] = {}
    chance = random.Random(device)
    for _ in range(8):
        process = animegen_process(*args, "--resume", env=slow)
        time.sleep(chance.uniform(0.4, 2.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = segments(place)
        assert all(kept.get(name, data) == data for name, data in seen.items())
        seen |= kept
    last = finish(*args, "--resume", env=slow)
    assert clip_of(last).read_bytes() == clip.read_bytes()
    made = read_record(clip_of(last).parent)
    assert made["status"] == "done"
    assert len([path for path in (place / "runs").iterdir() if not path.name.startswith(".")]) == 1
    assert not list((place / "runs").rglob("*.part*"))
    assert not list((place / "runs").rglob("*.spool"))


def test_ctrl_c_keeps_frames_and_prints_the_line_that_goes_on(
    animegen_process: Call, finish: Call, place: Path, picture: Call, slow: dict[str, str]
) -> None:
    write_video(place / "film.mkv", moving(60, picture), FPS)
    args = ("upsample", "film.mkv", "--with", "slow", "--factor", 4, "--out", "my runs")
    process = animegen_process(*args, env=slow)
    end = time.monotonic() + 60
    while len(list(place.glob("my runs/.cache/films/*/*/*.spool/*.raw"))) < 5:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    hint = next(line for line in err.splitlines() if "hint:" in line).partition("hint: ")[2]
    command = shlex.split(hint)
    assert command == ["animegen", *map(str, args), "--resume"]
    folder = next(path for path in (place / "my runs").iterdir() if not path.name.startswith("."))
    assert read_record(folder)["status"] == "interrupted"
    resumed = finish(*command[1:], env=slow)
    assert clip_of(resumed) == Path("my runs") / folder.name / "clip.mp4"
    assert "made before" in resumed.err


def test_a_full_disk_loses_nothing(animegen: Call, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    import animegen.film.parts as parts

    put, count = parts.Spool.put, 0

    def full(self: Any, number: int, image: Any) -> None:
        nonlocal count
        count += 1
        if count > 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(self, number, image)

    with monkeypatch.context() as patch:
        patch.setattr(parts.Spool, "put", full)
        result = animegen("upsample", film, "--with", "flow")
    assert (result.code, len(result.errors)) == (5, 1)
    assert "No space left" in result.err
    assert "--resume" in result.err
    resumed = animegen("upsample", film, "--with", "flow", "--resume")
    info = read_record(clip_of(resumed).parent)["steps"][0]["info"]
    assert info["kept"] == 7
    other = clip_of(animegen("upsample", film, "--with", "flow", "--out", "other"))
    assert other.read_bytes() == clip_of(resumed).read_bytes()


def test_a_disk_that_is_full_at_the_very_end(animegen: Call, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame is there; the clip alone does not fit. Going on reads no frame and needs no stage."""
    import animegen.film.outputs as outputs
    from animegen.errors import ResourceError

    def full(*_: Any, **__: Any) -> None:
        raise ResourceError("clip.mp4 cannot be written: No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "join", full)
        result = animegen("upsample", film, "--with", "flow")
    assert (result.code, len(result.errors)) == (5, 1)
    assert "--resume" in result.err
    with monkeypatch.context() as patch:
        patch.setattr("animegen.film.film.Film._draw", None)
        resumed = animegen("upsample", film, "--with", "flow", "--resume")
    assert len(frames_of(clip_of(resumed))) == 20
    step = read_record(clip_of(resumed).parent)["steps"][0]
    assert (step["cached"], step["info"]["frames_in"], step["info"]["kept"]) == (True, 10, 20)


def test_what_a_broken_run_drew_is_used_without_a_word_too_unless_it_is_forced(
    animegen: Call, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for more in ((), ("--force",)):
        with monkeypatch.context() as patch:
            patch.setattr("animegen.film.film.Film._finish", None)
            assert animegen("upsample", film, "--with", "crossfade", *more).code == 1
        clip = clip_of(animegen("upsample", film, "--with", "crossfade", *more))
        kept.append(read_record(clip.parent)["steps"][0]["info"]["kept"])
    assert kept == [20, 0]


@pytest.mark.slow
def test_files_that_may_not_grow_further(place: Path, finish: Call, picture: Call) -> None:
    """A limit of the system in place of a full disk: the encoder, too, is told that it cannot write."""
    noise = np.random.default_rng(0)
    write_video(place / "film.mkv", [noise.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(40)], FPS)
    args = ["upsample", "film.mkv", "--with", "crossfade", "--cuts", "none", "--format", "mkv"]
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500000, 1500000));"
        "from animegen_cli.main import main; sys.exit(main())"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", program, *args], cwd=place, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    resumed = finish(*args, "--resume")
    assert len(frames_of(clip_of(resumed))) == 80


def test_two_processes_do_not_share_a_film(
    animegen_process: Call, finish: Call, place: Path, picture: Call, slow: dict[str, str]
) -> None:
    write_video(place / "film.mkv", moving(60, picture), FPS)
    args = ("upsample", "film.mkv", "--with", "slow", "--factor", 4)
    process = animegen_process(*args, env=slow)
    end = time.monotonic() + 60
    while not list(place.glob("runs/.cache/films/*/*/*.spool")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    second = finish(*args, "--resume", env=slow)
    assert (second.code, len(second.errors)) == (2, 1)
    assert "another process" in second.err
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("stage", ["crossfade", "flow"])
@pytest.mark.parametrize("name", [
    "bigbuckbunny_rise.mp4", "drascula_bat_4x3.mp4", "drascula_castle_pan_4x3.mp4", "drascula_hall_4x3.mp4",
    "synfig_eye_look.mp4",
])  # fmt: skip
def test_real_clips(animegen: Call, real_data: Path, name: str, stage: str) -> None:
    source = real_data / "clips" / name
    with VideoReader(source) as video:
        fps, images = video.fps, [frame.image() for frame in video.timed()]
    result = animegen("upsample", source, "--with", stage, "--factor", 2, "--format", "mkv")
    clip = clip_of(result)
    with VideoReader(clip) as made:
        assert made.fps == 2 * fps
        count = 0
        for number, frame in enumerate(made.timed()):
            if number % 2 == 0:
                assert np.array_equal(frame.image(), images[number // 2])
            assert frame.time == number / (2 * fps)
            count += 1
    assert count == 2 * len(images)
    assert read_record(clip.parent)["outputs"]["seconds"] == pytest.approx(float(len(images) / fps), abs=1e-3)


def test_python_gives_the_same_film(animegen: Call, film: Path) -> None:
    import animegen as package

    clip = package.upsample(film, with_="flow", factor=3, format="mkv", options={"lines": 0.5}, out="python")
    typed = animegen(
        "upsample", film, "--with", "flow", "--factor", 3, "--format", "mkv", "-o", "flow.lines=0.5", "--out", "typed"
    )
    assert clip.path is not None
    assert clip.path.read_bytes() == clip_of(typed).read_bytes()
    assert (len(clip), clip.fps, clip.size) == (30, 36, (64, 48))
    made = frames_of(clip.path)
    assert np.array_equal(clip[29], made[29])
    assert np.array_equal(clip[-30], made[0])
    assert [image.tobytes() for image in clip] == [image.tobytes() for image in made]
    again = package.upsample(package.Clip(np.stack(made[:4]), Fraction(5)), with_="crossfade", format="mkv")
    assert len(again) == 8
    assert np.array_equal(again[2], made[1])


def test_a_picture_of_it_all(animegen: Call, film: Path) -> None:
    from animegen.imageio import read_image

    clip = clip_of(animegen("upsample", film, "--with", "crossfade", "--factor", 8))
    assert read_image(clip.parent / "sheet.png").shape[1] > 400


def test_a_picture_is_no_video(animegen: Call, place: Path, picture: Call) -> None:
    write_image(place / "p.png", picture(64, 48, 0))
    result = animegen("upsample", "p.png")
    assert (result.code, len(result.errors)) == (4, 1)
