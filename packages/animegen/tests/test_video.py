"""Clips written and read back."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animegen.errors import InputError, MissingError, StageError, UsageError
from animegen.imageio import write_image
from animegen.video import FrameFolder, VideoReader, write_video

FILM = Fraction(24000, 1001)
RATES = [Fraction(8), Fraction(32), Fraction(24), FILM, Fraction(61, 2), Fraction(25), Fraction(1)]


def few(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def moving(count: int = 6, height: int = 48, width: int = 64) -> np.ndarray:
    """A soft background and a black-edged disc that crosses it."""
    small = np.random.default_rng(0).integers(60, 256, (3, 4, 3), dtype=np.uint8)
    ground = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    frames = []
    for index in range(count):
        frame = ground.copy()
        centre = (width // 4 + index * width // (2 * count), height // 2)
        cv2.circle(frame, centre, max(1, height // 5), (230, 40, 30), -1, cv2.LINE_AA)
        cv2.circle(frame, centre, max(1, height // 5), (0, 0, 0), 1, cv2.LINE_AA)
        frames.append(frame)
    return np.stack(frames)


def noise(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9)))


# --- round trips --------------------------------------------------------------------------------------------


@few(20)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 5), st.sampled_from(RATES))
def test_mkv_is_exact(tmp_path: Path, height: int, width: int, count: int, fps: Fraction):
    frames = noise(count, height, width)
    write_video(tmp_path / "a.mkv", frames, fps, comment="run 7f3c")
    with VideoReader(tmp_path / "a.mkv") as video:
        assert video.size == (width, height)
        assert video.fps == fps
        assert video.comment == "run 7f3c"
        assert np.array_equal(np.stack(list(video)), frames)


@few(15)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 5), st.sampled_from(RATES))
def test_mp4_keeps_count_rate_and_size_rounded_up_to_even(
    tmp_path: Path, height: int, width: int, count: int, fps: Fraction
):
    write_video(tmp_path / "a.mp4", noise(count, height, width), fps, comment="run 7f3c")
    with VideoReader(tmp_path / "a.mp4") as video:
        assert video.size == (width + width % 2, height + height % 2)
        assert video.fps == fps
        assert video.frames == count
        assert video.comment == "run 7f3c"
        assert len(list(video)) == count


@few(12)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.sampled_from(["apng", "webp", "folder"]))
def test_other_lossless_forms(tmp_path: Path, height: int, width: int, count: int, kind: str):
    frames = noise(count, height, width)
    path = tmp_path / (kind if kind == "folder" else f"a.{kind}")
    write_video(path, frames, Fraction(8), quality=100)
    with VideoReader(path, fps=Fraction(8)) as video:
        assert video.size == (width, height)
        assert video.frames == count
        assert np.array_equal(np.stack(list(video)), frames)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("suffix", [".webp", ".gif", ".apng"])
def test_rate_of_animations(tmp_path: Path, suffix: str, fps: Fraction):
    write_video(tmp_path / f"a{suffix}", moving(16), fps)
    video = VideoReader(tmp_path / f"a{suffix}")
    assert video.frames == 16
    assert abs(16 / video.fps - 16 / fps) <= Fraction(1, 100)
    if fps.denominator == 1:
        assert video.fps == fps


def test_mp4_of_a_drawing_is_close(tmp_path: Path):
    frames = moving(8, 240, 320)
    write_video(tmp_path / "a.mp4", frames, FILM)
    for before, after in zip(frames, VideoReader(tmp_path / "a.mp4"), strict=True):
        assert psnr(before, after) > 38


def test_mp4_says_bt709_and_means_it(tmp_path: Path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 60, 20), (13, 200, 150), (255, 255, 255)]
    frames = [np.full((32, 32, 3), colour, np.uint8) for colour in colours]
    write_video(tmp_path / "a.mp4", frames, Fraction(4))
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.color_range == 1
        assert context.pix_fmt == "yuv420p"
        for frame, (red, green, blue) in zip(container.decode(video=0), colours, strict=True):
            luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
            wanted = (
                16 + 219 * luma / 255,
                128 + 224 * (blue - luma) / 1.8556 / 255,
                128 + 224 * (red - luma) / 1.5748 / 255,
            )
            got = [np.asarray(plane)[0] for plane in frame.planes]
            assert np.abs(np.array(got, float) - wanted).max() <= 2
    for frame, colour in zip(VideoReader(tmp_path / "a.mp4"), colours, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 4


def test_mp4_starts_with_its_index(tmp_path: Path):
    write_video(tmp_path / "a.mp4", moving(), Fraction(8))
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_quality_changes_the_size(tmp_path: Path):
    sizes = []
    for quality in (30, 90):
        write_video(tmp_path / "a.mp4", noise(3, 64, 64), Fraction(8), quality=quality)
        sizes.append((tmp_path / "a.mp4").stat().st_size)
    assert sizes[0] * 2 < sizes[1]


def test_gif_looks_like_the_clip_loops_and_keeps_the_comment(tmp_path: Path):
    frames = moving(10)
    write_video(tmp_path / "a.gif", frames, Fraction(61, 2), comment="run 7f3c " * 40)
    with PIL.Image.open(tmp_path / "a.gif") as picture:
        assert picture.info["loop"] == 0
        delays = []
        for index in range(picture.n_frames):
            picture.seek(index)
            delays.append(picture.info["duration"])
    assert set(delays) == {30, 40}
    assert abs(sum(delays) - 10 / 30.5 * 1000) <= 10
    video = VideoReader(tmp_path / "a.gif")
    assert min(psnr(a, b) for a, b in zip(frames, video, strict=True)) > 26
    assert b"run 7f3c run 7f3c" in (tmp_path / "a.gif").read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.gif"]


def test_gif_leaves_frames_out_above_50_per_second_and_says_so(tmp_path: Path):
    said: list[str] = []
    write_video(tmp_path / "a.gif", moving(13), Fraction(96), warn=said.append)
    video = VideoReader(tmp_path / "a.gif")
    assert video.frames == 7
    assert abs(7 / video.fps - 7 / Fraction(48)) <= Fraction(1, 100)
    assert said == ["a GIF plays at most 50 frames per second: one of 2 frames is kept."]


def test_format_goes_before_the_suffix(tmp_path: Path):
    write_video(tmp_path / "a.bin", moving(), Fraction(8), format="mkv")
    assert np.array_equal(np.stack(list(VideoReader(tmp_path / "a.bin"))), moving())


def test_frames_are_taken_one_by_one(tmp_path: Path):
    alive = most = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def source():
        nonlocal alive, most
        for index in range(60):
            frame = noise(1, 16, 16)[0].view(Counted)
            frame[0, 0] = index
            alive += 1
            most = max(most, alive)
            yield frame
            del frame

    for suffix in (".mp4", ".mkv", ".gif", ".webp", ""):
        write_video(tmp_path / f"a{suffix}", source(), Fraction(8))
    assert most < 20


# --- what cannot be written ---------------------------------------------------------------------------------


def test_no_frames(tmp_path: Path):
    for name in ("a.mp4", "folder"):
        with pytest.raises(UsageError, match="no frames"):
            write_video(tmp_path / name, [], Fraction(8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.webp", "folder"])
def test_frames_of_two_sizes(tmp_path: Path, name: str):
    frames = [noise(1, 16, 16)[0], noise(1, 16, 18)[0]]
    with pytest.raises(StageError, match="frame 1 is 18x16"):
        write_video(tmp_path / name, frames, Fraction(8))
    assert list(tmp_path.iterdir()) == []


def test_wrong_frames_rate_quality_and_suffix(tmp_path: Path):
    with pytest.raises(StageError, match="frame 0 is"):
        write_video(tmp_path / "a.mp4", [np.zeros((4, 4), np.uint8)], Fraction(8))
    with pytest.raises(UsageError, match="frames per second"):
        write_video(tmp_path / "a.mp4", moving(), Fraction(0))
    with pytest.raises(UsageError, match="quality"):
        write_video(tmp_path / "a.mp4", moving(), Fraction(8), quality=101)
    with pytest.raises(UsageError) as caught:
        write_video(tmp_path / "a.mp5", moving(), Fraction(8))
    assert "did you mean 'mp4'" in caught.value.hints[0]


def test_absent_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(av, "codecs_available", {"ffv1"})
    with pytest.raises(MissingError, match="no libx264 encoder"):
        write_video(tmp_path / "a.mp4", moving(), Fraction(8))


def test_an_error_midway_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.mp4"
    write_video(path, moving(), Fraction(8))
    before = path.read_bytes()

    def source():
        yield from moving(3)
        raise RuntimeError("the stage broke")

    with pytest.raises(RuntimeError, match="the stage broke"):
        write_video(path, source(), Fraction(8))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.webp", "a.apng"])
def test_a_full_disk_is_a_resource_error(tmp_path: Path, name: str):
    code = f"""
import resource, signal, numpy as np
from fractions import Fraction
from pathlib import Path
from animegen.errors import ResourceError
from animegen.video import write_video
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
frames = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 3), dtype=np.uint8)
folder = Path({str(tmp_path)!r})
try:
    write_video(folder / {name!r}, frames, Fraction(8))
except ResourceError as error:
    print("refused", error)
print(*(entry.name for entry in folder.iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused")
    assert done.stdout.splitlines()[1] == ""
    assert done.stderr == ""


def test_nothing_is_said_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    for name in ("a.mp4", "a.mkv", "a.gif", "a.webp", "a.apng"):
        write_video(tmp_path / name, moving(), Fraction(8))
        list(VideoReader(tmp_path / name))
    assert capfd.readouterr() == ("", "")


# --- what cannot be read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "0 bytes"),
        (b"not a video at all\n" * 9, "it holds text"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", "it holds text"),
        (b"PK\x03\x04" + bytes(200), "a zip archive"),
        (bytes(range(256)) * 9, "broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not an image"),
    ],
)
def test_not_a_video(tmp_path: Path, content: bytes, what: str, capfd: pytest.CaptureFixture[str]):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what):
        VideoReader(path)
    assert capfd.readouterr() == ("", "")


def test_absent_video_names_a_neighbour(tmp_path: Path):
    write_video(tmp_path / "clip.mp4", moving(), Fraction(8))
    with pytest.raises(InputError, match="does not exist") as caught:
        VideoReader(tmp_path / "clip.mp", role="CLIP")
    assert "'clip.mp4'" in caught.value.hints[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif", ".webp", ".apng"])
def test_a_truncated_clip_is_an_input_error(tmp_path: Path, suffix: str):
    write_video(tmp_path / f"a{suffix}", noise(10, 48, 64), Fraction(8))
    data = (tmp_path / f"a{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    for tenths in range(1, 10):
        path.write_bytes(data[: len(data) * tenths // 10])
        with pytest.raises(InputError):
            list(VideoReader(path))


@few(30)
@given(st.sampled_from(["mp4", "mkv", "gif", "webp", "apng"]), st.booleans(), st.data())
def test_broken_bytes_give_frames_or_an_input_error(tmp_path: Path, kind: str, start: bool, data: st.DataObject):
    write_video(tmp_path / f"a.{kind}", moving(3, 16, 16), Fraction(8))
    content = bytearray((tmp_path / f"a.{kind}").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, 80 if start else len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "b").write_bytes(content[: data.draw(st.integers(1, 2 * len(content)))])
    try:
        frames = list(VideoReader(tmp_path / "b"))
    except InputError:
        return
    assert all(frame.dtype == np.uint8 and frame.shape[2] == 3 for frame in frames)


def test_sound_alone_is_not_a_video(tmp_path: Path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="no picture"):
        VideoReader(path)


def test_reader_can_be_left_early_and_started_again(tmp_path: Path):
    write_video(tmp_path / "a.mkv", moving(), Fraction(8))
    with VideoReader(tmp_path / "a.mkv") as video:
        assert np.array_equal(next(iter(video)), moving()[0])
        assert len(list(video)) == 6


def test_a_name_with_a_colon(tmp_path: Path):
    path = tmp_path / "http:第一話 a.mp4"
    write_video(path, moving(), Fraction(8))
    assert len(list(VideoReader(path))) == 6


def test_full_range_and_bt601_files_have_their_colours(tmp_path: Path):
    colour = np.full((64, 64, 3), (200, 60, 20), np.uint8)
    for matrix, pixels, wide in (("ITU601", "yuv420p", 1), ("ITU709", "yuvj420p", 2), ("ITU601", "yuv444p", 2)):
        path = tmp_path / "a.mp4"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=8, options={"crf": "5"})
            stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
            stream.codec_context.colorspace = 1 if matrix == "ITU709" else 5
            stream.codec_context.color_range = wide
            rgb = av.VideoFrame.from_ndarray(colour, format="rgb24")
            coded = rgb.reformat(format=pixels, src_color_range=2, dst_colorspace=matrix, dst_color_range=wide)
            output.mux(stream.encode(coded))
            output.mux(stream.encode(None))
        (frame,) = VideoReader(path)
        assert np.abs(frame.astype(int) - colour).max() <= 3, (matrix, pixels, wide)


# --- folders ------------------------------------------------------------------------------------------------


def test_folder_is_read_lazily_in_natural_order(tmp_path: Path):
    frames = moving(12)
    for index, frame in enumerate(frames):
        write_image(tmp_path / f"frame{index}.png", frame)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    folder = FrameFolder(tmp_path)
    assert len(folder) == 12
    assert folder.size == (64, 48)
    assert np.array_equal(folder[10], frames[10])
    assert np.array_equal(folder[-1], frames[-1])
    assert np.array_equal(np.stack(list(folder[2:9:3])), frames[2:9:3])
    assert np.array_equal(np.stack(list(folder)), frames)
    with pytest.raises(IndexError):
        folder[12]
    with pytest.raises(InputError, match="how fast"):
        VideoReader(tmp_path)


def test_folder_with_a_frame_of_another_size(tmp_path: Path):
    write_image(tmp_path / "0.png", moving()[0])
    write_image(tmp_path / "1.png", moving(1, 10, 10)[0])
    with pytest.raises(InputError, match="is 10x10"):
        list(FrameFolder(tmp_path))


def test_folder_without_frames(tmp_path: Path):
    with pytest.raises(InputError, match="holds no frames"):
        FrameFolder(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        FrameFolder(tmp_path / "frames")


def test_writing_a_folder_replaces_frames_and_nothing_else(tmp_path: Path):
    write_video(tmp_path / "frames", moving(6), Fraction(8))
    write_video(tmp_path / "frames", moving(3), Fraction(8))
    assert [path.name for path in FrameFolder(tmp_path / "frames").files] == [
        "000000.png",
        "000001.png",
        "000002.png",
    ]
    (tmp_path / "frames" / "notes.txt").touch()
    with pytest.raises(UsageError, match="other files"):
        write_video(tmp_path / "frames", moving(3), Fraction(8))


# --- real material ------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
def test_real_clips(real_data: Path):
    counts = {
        "synfig_eye_look": (26, (480, 270), 24),
        "drascula_castle_pan_4x3": (33, (640, 480), 12),
        "drascula_hall_4x3": (61, (640, 480), 12),
        "drascula_bat_4x3": (15, (640, 480), 12),
        "bigbuckbunny_rise": (60, (640, 360), 25),
    }
    for name, (count, size, fps) in counts.items():
        video = VideoReader(real_data / "clips" / f"{name}.mp4")
        assert (video.frames, video.size, video.fps) == (count, size, fps)
        assert sum(1 for _ in video) == count
    exact = FrameFolder(real_data / "clips" / "synfig_eye_look")
    for drawn, coded in zip(exact, VideoReader(real_data / "clips" / "synfig_eye_look.mp4"), strict=True):
        assert psnr(drawn, coded) > 35
