"""From a source over segments to one file: pictures, times, colours, damage, and bounded memory."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animegen.errors import InputError, StageError, UsageError
from animegen.video import (
    VideoReader,
    clock,
    container_for,
    join,
    read_segments,
    read_timed_segments,
    segment,
    write_video,
)
from animegen.video.colour import Colour

FILM = Fraction(24000, 1001)


EVEN = list(range(48))


UNEVEN = [0, 1, 3, 4, 8, 9, 10, 15, 16, 22, 23, 24, 30, 31, 40, 41, 42, 50]


@pytest.mark.parametrize("each", [1, 5, 7, 48])
@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_frames_and_times_come_through_any_cut_into_segments(
    drawn: Any, source: Any, segmented: Any, tmp_path: Path, codec: str, each: int
):
    path = source(tmp_path / "a.mp4", drawn(48), EVEN, 1 / FILM, rate=FILM)
    reader = VideoReader(path)
    parts, end, frames = segmented(reader, tmp_path / "parts", codec, each)
    kind: Any = "mp4" if codec == "h264" else "mkv"
    out = tmp_path / f"out.{kind}"
    join(out, parts, reader, container=kind, end=end, even=reader.variable is False)
    with VideoReader(out) as found:
        assert (found.fps, found.size) == (FILM, (64, 48))
        result = list(found.timed())
        assert [frame.time for frame in result] == [frame.time for frame in frames]
        assert result[-1].duration == 1 / FILM
        if codec == "ffv1":
            assert all(np.array_equal(a.image(), b.image()) for a, b in zip(frames, result, strict=True))
        else:
            error = [np.abs(a.image().astype(int) - b.image()).mean() for a, b in zip(frames, result, strict=True)]
            assert max(error) < 6
    with av.open(str(out)) as container:
        coded = [packet for packet in container.demux(video=0) if packet.size]
        decoded = [packet.dts for packet in coded if packet.dts is not None]
        assert all(before < after for before, after in pairwise(decoded))
        assert all(packet.dts <= packet.pts for packet in coded if packet.dts is not None)
        if codec == "h264" and each == 48:
            assert [packet.pts for packet in coded] != sorted(packet.pts for packet in coded)
        assert container.duration is not None
        assert abs(Fraction(container.duration, 1_000_000) - 48 / FILM) <= Fraction(1, 1000)


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_a_varying_rate_comes_through(drawn: Any, source: Any, segmented: Any, tmp_path: Path, codec: str, kind: Any):
    if (codec, kind) == ("ffv1", "mp4"):
        pytest.skip("FFV1 goes to Matroska")
    path = source(tmp_path / "a.mp4", drawn(18), UNEVEN, Fraction(1, 30), rate=Fraction(30))
    reader = VideoReader(path)
    parts, end, frames = segmented(reader, tmp_path / "parts", codec, 5)
    join(tmp_path / f"out.{kind}", parts, reader, container=kind, end=end, even=False)
    exact = [Fraction(stamp, 30) for stamp in UNEVEN]
    assert [frame.time for frame in frames] == exact
    with VideoReader(tmp_path / f"out.{kind}") as found:
        result = list(found.timed())
        if kind == "mp4":
            assert [frame.time for frame in result] == exact
        else:  # which counts milliseconds
            assert max(abs(frame.time - time) for frame, time in zip(result, exact, strict=True)) <= Fraction(1, 2000)
        assert abs(result[-1].duration - frames[-1].duration) <= Fraction(1, 1000)
        assert found.variable is True


def test_times_between_the_frames_are_exact_in_mp4(drawn: Any, source: Any, tmp_path: Path):
    path = source(
        tmp_path / "a.mkv", drawn(12), [round(1000 * i / FILM) for i in range(12)], Fraction(1, 1000), rate=FILM
    )
    reader = VideoReader(path)
    tick = clock(reader, 5)
    wanted = [frame.time + step / (5 * FILM) for frame in reader.timed() for step in range(5)]
    with segment(tmp_path / "a.nut", (64, 48), 5 * FILM, "h264", tick=tick) as put:
        for image, time in zip(drawn(60), wanted, strict=True):
            put(image, time)
    join(tmp_path / "out.mp4", [tmp_path / "a.nut"], reader, container="mp4")
    found = VideoReader(tmp_path / "out.mp4")
    assert [frame.time for frame in found.timed()] == wanted
    assert found.fps == 5 * FILM


def test_equal_frames_give_equal_bytes(drawn: Any, source: Any, segmented: Any, tmp_path: Path):
    reader = VideoReader(source(tmp_path / "a.mp4", drawn(48), EVEN, 1 / FILM, rate=FILM, sounds=("aac",)))
    for codec, kind in (("h264", "mp4"), ("ffv1", "mkv")):
        made = []
        for turn in range(2):
            parts, end, _ = segmented(reader, tmp_path / f"{codec}{turn}", codec, 20)
            join(tmp_path / f"out{turn}", parts, reader, container=kind, end=end)  # type: ignore[arg-type]
            made.append([part.read_bytes() for part in parts] + [(tmp_path / f"out{turn}").read_bytes()])
        assert made[0] == made[1]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (47, 63), (48, 1), (33, 64)])
def test_odd_sizes(drawn: Any, segmented: Any, tmp_path: Path, height: int, width: int):
    images = drawn(6, height, width)
    write_video(tmp_path / "a.mkv", images, Fraction(8))
    reader = VideoReader(tmp_path / "a.mkv")
    for codec in ("ffv1", "h264"):
        parts, _, _ = segmented(reader, tmp_path / codec, codec, 4)
        result = list(read_segments(parts))
        assert all(image.shape == (height, width, 3) for image in result)
        if codec == "ffv1":
            assert np.array_equal(np.stack(result), images)
    join(tmp_path / "out.mp4", parts, reader, container="mp4")
    assert VideoReader(tmp_path / "out.mp4").size == (width + width % 2, height + height % 2)


def test_alpha_comes_through_and_mp4_refuses_it(drawn: Any, segmented: Any, tmp_path: Path):
    images = drawn(6, channels=4)
    write_video(tmp_path / "a.mkv", images, Fraction(8))
    reader = VideoReader(tmp_path / "a.mkv")
    parts, end, _ = segmented(reader, tmp_path / "parts", "ffv1", 4)
    join(tmp_path / "out.mkv", parts, reader, container="mkv", end=end)
    result = list(VideoReader(tmp_path / "out.mkv").timed())
    assert np.array_equal(np.stack([frame.image() for frame in result]), images)
    assert [time for _, time in read_timed_segments(parts)] == [Fraction(index, 8) for index in range(6)]
    for suffix, quality in ((".webp", 100), (".apng", 90), ("", 90)):
        write_video(tmp_path / f"b{suffix}", read_segments(parts), Fraction(8), quality=quality)
        frames = [frame.image() for frame in VideoReader(tmp_path / f"b{suffix}", fps=Fraction(8)).timed()]
        seen = images[..., 3] > 0  # colours of what is not seen may be dropped
        assert np.array_equal(np.stack(frames)[..., 3], images[..., 3])
        assert np.array_equal(np.stack(frames)[seen], images[seen])
    said: list[str] = []
    write_video(tmp_path / "b.gif", read_segments(parts), Fraction(8), warn=said.append)
    assert "laid on white" in said[0]
    with pytest.raises(UsageError, match="cannot hold alpha") as caught:
        write_video(tmp_path / "b.mp4", images, Fraction(8))
    assert ".mkv" in caught.value.hints[0]
    with (
        pytest.raises(UsageError, match="cannot hold alpha"),
        segment(tmp_path / "b.nut", (64, 48), Fraction(8), "h264", alpha=True),
    ):
        pass
    with pytest.raises(UsageError, match="cannot hold alpha"):
        container_for("mp4", reader)


def test_webp_that_is_transparent_all_around_says_so(drawn: Any, tmp_path: Path):
    images = drawn(3, channels=4)
    images[..., 3] = 255
    images[:, :, :30] = 0
    write_video(tmp_path / "a.webp", images, Fraction(8), quality=100)
    frames = [frame.image() for frame in VideoReader(tmp_path / "a.webp").timed()]
    assert np.array_equal(np.stack(frames), images)


@pytest.mark.parametrize(
    ("colour", "named"),
    [
        (Colour(1, 1, 1), True),
        (Colour(6, 6, 6), True),
        (Colour(5, 5, 6, full_range=True), True),
        (Colour(9, 9, 14), True),
        (Colour(9, 9, 16), True),
        (Colour(6, 2, 2, named=False), False),
    ],
)
def test_colours_are_coded_and_named_as_in_the_source(drawn: Any, tmp_path: Path, colour: Colour, named: bool):
    flat = [(200, 60, 20), (20, 200, 90), (13, 30, 180), (250, 250, 250)]
    write_video(tmp_path / "a.mkv", drawn(2), Fraction(8))
    with segment(tmp_path / "a.nut", (64, 48), Fraction(8), "h264", colour) as put:
        for index, value in enumerate(flat):
            put(np.full((48, 64, 3), value, np.uint8), Fraction(index, 8))
    for kind in ("mp4", "mkv"):
        out = tmp_path / f"out.{kind}"
        join(out, [tmp_path / "a.nut"], VideoReader(tmp_path / "a.mkv"), container=kind)  # type: ignore[arg-type]
        with av.open(str(out)) as container:
            context = container.streams.video[0].codec_context
            assert context.colorspace == (colour.matrix if named else 2)
            assert (context.color_primaries, context.color_trc) == (colour.primaries, colour.transfer)
        found = VideoReader(out, warn=lambda _: None)
        assert found.colour == colour
        for frame, value in zip(found.timed(), flat, strict=True):
            assert np.abs(frame.image().astype(int) - value).max() <= 5


def test_lossless_rgb_names_primaries_and_transfer(drawn: Any, tmp_path: Path):
    write_video(tmp_path / "a.mkv", drawn(2), Fraction(8))
    with segment(tmp_path / "a.nut", (64, 48), Fraction(8), "ffv1", Colour(9, 9, 16)) as put:
        for index, image in enumerate(drawn(2)):
            put(image, Fraction(index, 8))
    join(tmp_path / "out.mkv", [tmp_path / "a.nut"], VideoReader(tmp_path / "a.mkv"), container="mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (0, 9, 16)


@pytest.mark.parametrize(("codec", "kind"), [("h264", "mp4"), ("h264", "mkv"), ("ffv1", "mkv")])
def test_pixels_that_are_not_square_stay_so_or_it_is_said(
    drawn: Any, segmented: Any, tmp_path: Path, codec: str, kind: Any
):
    write_video(tmp_path / "a.mkv", drawn(4), Fraction(8))
    reader = VideoReader(tmp_path / "a.mkv")
    parts, _, _ = segmented(reader, tmp_path / "parts", codec, 4, aspect=Fraction(4, 3))
    said: list[str] = []
    join(tmp_path / f"out.{kind}", parts, reader, container=kind, warn=said.append)
    if codec == "ffv1":
        assert "4:3" in said[0]
    else:
        assert not said
        assert VideoReader(tmp_path / f"out.{kind}").aspect == Fraction(4, 3)


def test_a_segment_is_whole_or_absent(drawn: Any, tmp_path: Path):
    path = tmp_path / "a.nut"
    with pytest.raises(StageError, match="not after"), segment(path, (64, 48), Fraction(8), "ffv1") as put:
        put(drawn(1)[0], Fraction(1, 8))
        put(drawn(1)[0], Fraction(1, 8))
    with pytest.raises(StageError, match="a frame is"), segment(path, (64, 50), Fraction(8), "ffv1") as put:
        put(drawn(1)[0], Fraction(0))
    with pytest.raises(UsageError, match="no frames"), segment(path, (64, 50), Fraction(8), "ffv1"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_broken_absent_and_foreign_segments_are_input_errors(drawn: Any, segmented: Any, tmp_path: Path):
    write_video(tmp_path / "a.mkv", drawn(8), Fraction(8))
    reader = VideoReader(tmp_path / "a.mkv")
    parts, _, _ = segmented(reader, tmp_path / "parts", "ffv1", 4)
    other, _, _ = segmented(reader, tmp_path / "other", "h264", 8)
    text = tmp_path / "text.nut"
    text.write_text("not a segment")
    for wrong in (
        [parts[0], tmp_path / "absent.nut"],
        [text],
        [parts[0], other[0]],
        [parts[1], parts[0]],
        [parts[0]] * 2,
    ):
        with pytest.raises(InputError) as caught:
            join(tmp_path / "out.mkv", wrong, reader, container="mkv")
        assert "delete" in caught.value.hints[0]
    with pytest.raises(UsageError, match="no segments"):
        join(tmp_path / "out.mkv", [], reader, container="mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_a_damaged_segment_is_not_joined(drawn: Any, segmented: Any, tmp_path: Path):
    write_video(tmp_path / "a.mkv", drawn(8), Fraction(8))
    reader = VideoReader(tmp_path / "a.mkv")
    parts, _, _ = segmented(reader, tmp_path / "parts", "ffv1", 4)
    data = bytearray(parts[1].read_bytes())
    data[len(data) // 2] ^= 16
    parts[1].write_bytes(data)
    with pytest.raises(InputError, match="000004"):
        join(tmp_path / "out.mkv", parts, reader, container="mkv")
    with pytest.raises(InputError, match="000004"):
        list(read_segments(parts))
    assert not (tmp_path / "out.mkv").exists()


def test_a_full_disk_is_a_resource_error(tmp_path: Path):
    code = f"""
import resource, signal, numpy as np
from fractions import Fraction
from pathlib import Path
from animegen.errors import ResourceError
from animegen.video import VideoReader, join, segment, write_video
folder = Path({str(tmp_path)!r})
frames = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 3), dtype=np.uint8)
def make(name):
    with segment(folder / name, (96, 96), Fraction(8), "ffv1") as put:
        for index, frame in enumerate(frames):
            put(frame, Fraction(index, 8))
write_video(folder / "a.mkv", frames, Fraction(8))
make("a.nut")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
reader = VideoReader(folder / "a.mkv")
for work in (
    lambda: make("b.nut"),
    lambda: join(folder / "out.mkv", [folder / "a.nut"], reader, container="mkv"),
):
    try:
        work()
    except ResourceError as error:
        print("refused")
print(sorted(entry.name for entry in folder.iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["refused", "refused", "['a.mkv', 'a.nut']"]
    assert done.stderr == ""


def test_nothing_is_said_on_stderr(
    drawn: Any, source: Any, segmented: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    path = source(tmp_path / "a.mp4", drawn(12), EVEN[:12], 1 / FILM, rate=FILM, sounds=("aac",))
    reader = VideoReader(path)
    for codec, kind in (("h264", "mp4"), ("ffv1", "mkv")):
        parts, _, _ = segmented(reader, tmp_path / codec, codec, 5)
        join(tmp_path / f"out.{kind}", parts, reader, container=kind)  # type: ignore[arg-type]
        list(VideoReader(tmp_path / f"out.{kind}").timed())
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film(tmp_path: Path):
    code = f"""
import resource, sys
from fractions import Fraction
from pathlib import Path
import av, numpy as np
from animegen.video import VideoReader, join, segment, clock
count = int(sys.argv[1])
folder = Path({str(tmp_path)!r}) / str(count)
folder.mkdir()
with av.open(str(folder / "a.mkv"), "w") as output:
    stream = output.add_stream("libx264", rate=24, options={{"preset": "ultrafast"}})
    stream.width, stream.height = 64, 48
    sound = output.add_stream("aac", rate=48000)
    for index in range(count):
        image = np.full((48, 64, 3), index % 256, np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        noise = np.zeros((1, 4000), np.int16)
        frame = av.AudioFrame.from_ndarray(noise, "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 2000 * index, Fraction(1, 48000)
        output.mux(sound.encode(frame))
    output.mux(stream.encode(None)); output.mux(sound.encode(None))
reader = VideoReader(folder / "a.mkv")
paths, frames = [], reader.timed()
frame = next(frames, None)
while frame is not None:
    paths.append(folder / f"{{len(paths):06d}}.nut")
    with segment(paths[-1], reader.size, reader.fps, "h264", reader.colour, tick=clock(reader, 1)) as put:
        for _ in range(100):
            frame.luma()
            put(frame.image(), frame.time)
            frame = next(frames, None)
            if frame is None:
                break
join(folder / "out.mp4", paths, reader, container="mp4", even=True)
found = VideoReader(folder / "out.mp4")
assert found.frames == count, found.frames
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    used = [
        int(subprocess.run([sys.executable, "-c", code, str(count)], capture_output=True, text=True, check=True).stdout)
        for count in (200, 10_000)
    ]
    print(f"peak memory: 200 frames {used[0] / 1024:.0f} MiB, 10,000 frames {used[1] / 1024:.0f} MiB")
    assert used[1] < used[0] * 1.15


@pytest.mark.data
@pytest.mark.slow
def test_real_clips_come_through(segmented: Any, real_data: Path, tmp_path: Path):
    for name, count, fps in (
        ("synfig_eye_look", 26, 24), ("drascula_castle_pan_4x3", 33, 12), ("drascula_hall_4x3", 61, 12),
        ("drascula_bat_4x3", 15, 12), ("bigbuckbunny_rise", 60, 25),
    ):  # fmt: skip
        reader = VideoReader(real_data / "clips" / f"{name}.mp4")
        for codec, kind in (("h264", "mp4"), ("ffv1", "mkv")):
            parts, end, frames = segmented(reader, tmp_path / f"{name}.{codec}", codec, 11)
            out = tmp_path / f"{name}.{kind}"
            join(out, parts, reader, container=kind, end=end, even=True)  # type: ignore[arg-type]
            with VideoReader(out) as found:
                result = list(found.timed())
                assert (len(result), found.fps, found.size) == (count, fps, reader.size)
                assert [frame.time for frame in result] == [Fraction(index, fps) for index in range(count)]
                assert result[-1].duration == Fraction(1, fps)
                if codec == "ffv1":
                    assert all(np.array_equal(a.image(), b.image()) for a, b in zip(frames, result, strict=True))
