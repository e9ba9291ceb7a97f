"""``animegen upsample``: rates, formats, settings, records, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animegen.pipeline.record import read_record
from animegen.video import VideoReader, write_video

Call = Callable[..., Any]

FPS = Fraction(12)


def moving(count: int, picture: Call, width: int = 64, height: int = 48) -> list[np.ndarray]:
    return [picture(width, height, 3 * index) for index in range(count)]


def frames_of(path: Path, **more: Any) -> list[np.ndarray]:
    with VideoReader(path, **more) as video:
        return list(video)


def clip_of(result: Any) -> Path:
    assert result.code == 0, result.err
    (line,) = result.out.splitlines()
    return Path(line)


def times_of(path: Path) -> list[Fraction]:
    with VideoReader(path) as video:
        return [frame.time for frame in video.timed()]


@pytest.fixture
def film(place: Path, picture: Call) -> Path:
    """Ten frames at 12 per second, lossless."""
    write_video(place / "film.mkv", moving(10, picture), FPS)
    return place / "film.mkv"


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


@pytest.mark.parametrize(("matrix", "full"), [(6, False), (6, True), (1, False), (1, True)])
def test_drawn_and_copied_frames_go_one_way_of_colour(animegen: Call, place: Path, matrix: int, full: bool) -> None:
    """A still film of large flat colours: 601 or 709, both ranges. What is coded is what was coded, in every frame."""
    stripes = np.repeat(np.array([(200, 40, 30), (30, 160, 60), (40, 60, 220), (235, 225, 200)], np.uint8), 16, axis=0)
    still = np.ascontiguousarray(np.broadcast_to(stripes, (48, 64, 3)))
    with av.open(str(place / "still.mp4"), "w") as output:
        video: Any = output.add_stream("libx264", rate=12, options={"crf": "4"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc = matrix, matrix, matrix
        context.color_range, context.sample_aspect_ratio = 2 if full else 1, Fraction(4, 3)
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(still, format="rgb24").reformat(
                format="yuv420p", dst_colorspace={6: 5, 1: 1}[matrix], dst_color_range=2 if full else 1
            )
            frame.pts, frame.time_base = index, Fraction(1, 12)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))

    def coded(path: Path) -> tuple[list[np.ndarray], tuple[Any, ...]]:
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            planes = [frame.to_ndarray().astype(int)[:48] for frame in container.decode(video=0)]
            tags = context.colorspace, context.color_primaries, context.color_trc, context.color_range
            return planes, (*tags, context.sample_aspect_ratio)

    before, tags = coded(place / "still.mp4")
    assert (tags[0], tags[3]) == ({6: 6, 1: 1}[matrix], 2 if full else 1)
    after, kept = coded(clip_of(animegen("upsample", "still.mp4", "--with", "crossfade", "--factor", 3)))
    assert kept == tags
    assert len(after) == 12
    for image in after:
        assert abs(image.mean() - before[0].mean()) < 1
        assert abs(image.mean() - after[0].mean()) < 0.05


def test_options_that_nothing_asks_for_are_said(animegen: Call, film: Path) -> None:
    idle = {"--max-run": 3, "--anchor": "centre", "--cut-threshold": 0.3, "--quality": 50}
    typed = [part for option in idle.items() for part in option]
    result = animegen("upsample", film, "--dry-run", "--cuts", 3, "--format", "mkv", *typed)
    assert [option for option in idle if f"{option}: not used, as it is for" in result.err] == list(idle)
    used = animegen("upsample", film, "--dry-run", "--duplicates", "retime", "--format", "mp4", *typed)
    assert "not used" not in used.err
    Path("animegen.toml").write_text("[upsample]\nmax_run = 3\nquality = 50\n")  # of use another time
    assert "not used" not in animegen("upsample", film, "--dry-run", "--format", "mkv").err


def test_a_rate_is_said_as_it_is(animegen: Call, film: Path) -> None:
    assert "12 > 12.0001 fps" in animegen("upsample", film, "--fps", "12.0001", "--dry-run").err


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
