"""``animegen upsample``: what it makes of every kind of source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

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


def clip_of(result: Any) -> Path:
    assert result.code == 0, result.err
    (line,) = result.out.splitlines()
    return Path(line)


def times_of(path: Path) -> list[Fraction]:
    with VideoReader(path) as video:
        return [frame.time for frame in video.timed()]


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


def test_times_that_vary_are_kept(animegen: Call, place: Path, picture: Call) -> None:
    stamps = [0, 40, 160, 200, 280, 400, 440]
    uneven(place / "v.mp4", moving(7, picture), stamps)
    clip = clip_of(animegen("upsample", "v.mp4", "--with", "crossfade", "--format", "mkv"))
    times = [round(time * 1000) for time in times_of(clip)]
    assert times[::2] == stamps
    assert times[1::2][:-1] == [20, 100, 180, 240, 340, 420]


@pytest.mark.parametrize("format", ["mp4", "mkv"])
def test_the_last_frame_is_shown_for_its_own_time(animegen: Call, place: Path, picture: Call, format: str) -> None:
    from PIL import Image

    images = [Image.fromarray(image) for image in moving(3, picture)]
    images[0].save(place / "a.gif", save_all=True, append_images=images[1:], duration=[100, 100, 600])
    clip = clip_of(animegen("upsample", "a.gif", "--with", "crossfade", "--format", format))
    with VideoReader(clip) as video:
        frames = list(video.timed())
    assert [round(frame.time * 1000) for frame in frames] == [0, 50, 100, 150, 200, 500]
    assert frames[-1].duration is not None
    assert frames[-1].time + frames[-1].duration == pytest.approx(0.8, abs=1e-3)


def test_uneven_times_where_they_cannot_be_kept_are_said(
    animegen: Call, place: Path, picture: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even ones can be had, and then there is nothing to say. A sheet names no times that are not so."""
    import animegen.film.outputs as outputs

    uneven(place / "v.mp4", moving(7, picture), [0, 40, 160, 200, 280, 400, 440])
    args = ("upsample", "v.mp4", "--with", "crossfade", "--format", "gif")
    rates: list[Any] = []
    sheet = outputs.contact_sheet
    monkeypatch.setattr(outputs, "contact_sheet", lambda *a, fps: rates.append(fps) or sheet(*a, fps=fps))
    assert "gif keeps no uneven times" in animegen(*args).err
    even = animegen(*args, "--fps", 40)
    assert "uneven" not in even.err
    assert len(frames_of(clip_of(even))) == 20  # 0.48 s
    assert rates == [None, 40]


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


def test_a_run_without_its_frames_is_taken_from_its_lossless_clip(
    animegen: Call, pair: tuple[Path, Path], quick: tuple[str, ...]
) -> None:
    run = clip_of(animegen("run", *pair, *quick, "--format", "mp4,mkv")).parent
    frames = frames_of(run / "frames", fps=FPS)
    shutil.rmtree(run / "frames")
    args = ("upsample", run, "--with", "crossfade", "--format", "mkv")
    made = frames_of(clip_of(animegen(*args)))
    assert all(np.array_equal(a, b) for a, b in zip(made[::2], frames, strict=True))
    for clip in run.glob("clip.*"):
        clip.unlink()
    gone = animegen(*args)
    assert (gone.code, len(gone.errors)) == (4, 1)
    assert "whose clip is gone" in gone.err


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


def test_a_change_of_alpha_alone_is_no_duplicate(animegen: Call, place: Path, picture: Call) -> None:
    from PIL import Image

    colours, images = picture(64, 48, 0), []
    for index in range(4):
        alpha = np.full((48, 64), 255, np.uint8)
        alpha[:, : 16 * (index // 2)] = 0
        images.append(Image.fromarray(np.dstack([colours, alpha])))
    (place / "pictures").mkdir()
    for index, image in enumerate(images):
        image.save(place / "pictures" / f"{index}.png")
    args = ("upsample", "pictures", "--source-fps", 10, "--with", "crossfade", "--duplicates", "hold")
    clip = clip_of(animegen(*args))
    assert read_record(clip.parent)["steps"][0]["info"]["duplicates"]["frames"] == 2
    with VideoReader(clip) as video:
        made = [frame.image() for frame in video.timed()]
    assert 100 < made[3][0, 4, 3] < 150  # between the second and the third


def test_names_of_pictures_belong_to_a_folder(animegen: Call, place: Path, picture: Call) -> None:
    """They say in which order the pictures play, which is not that of the alphabet."""
    write_folder(place / "pictures", moving(3, picture))
    args = ("upsample", "pictures", "--source-fps", 10, "--with", "crossfade", "--format", "frames")
    first = clip_of(animegen(*args))
    for old, new in (("000000", "1"), ("000001", "10"), ("000002", "2")):
        (place / "pictures" / f"{old}.png").rename(place / "pictures" / f"{new}.png")
    again = clip_of(animegen(*args, "--resume"))
    one, other = (frames_of(clip, fps=FPS) for clip in (first, again))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[4], other[2])
    assert np.array_equal(one[2], other[4])


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


def test_a_cut_beyond_the_end_is_said(animegen: Call, place: Path, picture: Call) -> None:
    """A film of five frames ends with frame 4; 5 is already beyond it."""
    write_video(place / "five.mkv", moving(5, picture), FPS)
    for given, beyond in (("4", ""), ("2,5", "no cut at 5: the source has 5 frames")):
        result = animegen("upsample", "five.mkv", "--with", "crossfade", "--cuts", given)
        assert result.code == 0, result.err
        assert ("no cut at" in result.err) == bool(beyond)
        assert beyond in result.err


@pytest.mark.parametrize(("option", "values"), [
    ("--cuts", ("auto", "none", "2", "3")), ("--anchor", ("first", "centre")), ("--max-run", (2, 3)),
    ("--duplicates", ("leave", "hold", "retime")), ("--factor", (2, 3)), ("--quality", (50, 90)),
    ("--cut-threshold", (0.3, 0.6)), ("--format", ("mp4", "mkv", "apng")), ("--fps", (30, 60)),
])  # fmt: skip
def test_whatever_changes_the_frames_is_another_film(
    animegen: Call, place: Path, picture: Call, option: str, values: tuple[Any, ...]
) -> None:
    """Else frames of one would be taken for those of another."""
    write_video(place / "five.mkv", moving(5, picture), FPS)
    planned = [
        json.loads(animegen("upsample", "five.mkv", "--with", "flow", option, value, "--dry-run", "--json").out)["id"]
        for value in values
    ]
    assert len(set(planned)) == len(values)


def test_where_a_film_goes_makes_no_other_film(animegen: Call, place: Path, picture: Call) -> None:
    write_video(place / "five.mkv", moving(5, picture), FPS)
    planned = {
        json.loads(animegen("upsample", "five.mkv", "--with", "flow", *more, "--dry-run", "--json").out)["id"]
        for more in ((), ("--out", "elsewhere"), ("--max-pixels", 4000))
    }
    assert len(planned) == 1


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


def test_a_drawing_that_stands_is_held_beyond_the_longest_run(animegen: Call, place: Path, picture: Call) -> None:
    drawings = moving(3, picture)
    write_video(place / "long.mkv", [drawings[0], *[drawings[1]] * 4, drawings[2]], FPS)
    args = ("upsample", "long.mkv", "--with", "crossfade", "--duplicates", "retime", "--max-run", 3, "--format", "mkv")
    clip = clip_of(animegen(*args))
    doubles = read_record(clip.parent)["steps"][0]["info"]["duplicates"]
    assert doubles == {"frames": 3, "held": 3, "retimed_runs": 0, "retimed_frames": 0}
    made = frames_of(clip)
    assert all(np.array_equal(image, drawings[1]) for image in made[2:9])
    assert not np.array_equal(made[9], drawings[1])


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
