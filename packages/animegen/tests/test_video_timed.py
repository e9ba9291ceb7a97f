"""Frames with their times: rates, clocks, depth, alpha, colour, rotation, and what is refused."""

from __future__ import annotations

import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import pytest

from animegen.errors import InputError
from animegen.video import VideoReader, write_video
from animegen.video.colour import Colour
from animegen.video.stamps import Stamps, meant_rate

FILM = Fraction(24000, 1001)


def drawn(count: int = 8, height: int = 48, width: int = 64, channels: int = 3) -> np.ndarray:
    """A soft picture that moves two pixels a frame, with a colour that differs from frame to frame."""
    y, x = np.mgrid[:height, : width + 2 * count]
    wide = np.stack([x * 2 % 256, y * 3 % 256, (x + y) % 256, 255 * x // x.max()], axis=2).astype(np.uint8)
    return np.stack([wide[:, 2 * i : 2 * i + width, :channels] for i in range(count)])


def coded(
    path: Path,
    images: np.ndarray,
    stamps: list[int] | None = None,
    *,
    tick: Fraction = Fraction(1, 24),
    rate: Fraction = Fraction(24),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    reformat: dict[str, Any] | None = None,
) -> Path:
    """A video at `path` of `images`, shown at `stamps` × `tick` seconds."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options or {}, time_base=tick)
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = pixels
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for index, image in enumerate(images):
            frame: Any = av.VideoFrame.from_ndarray(image, format="rgba" if image.shape[2] == 4 else "rgb24")
            frame = frame.reformat(format=pixels, **(reformat or {}))
            frame.pts, frame.time_base = stamps[index] if stamps else index, tick
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def times(path: Path, **options: Any) -> list[Fraction]:
    return [frame.time for frame in VideoReader(path, **options).timed()]


# --- times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".nut", ".ts", ".mov"])
@pytest.mark.parametrize("rate", [FILM, Fraction(25), Fraction(12)])
def test_an_even_rate_has_even_times_whatever_the_clock(tmp_path: Path, suffix: str, rate: Fraction):
    path = coded(tmp_path / f"a{suffix}", drawn(40), tick=1 / rate, rate=rate)
    with VideoReader(path) as video:
        assert video.fps == rate
        assert video.variable is None
        frames = list(video.timed())
        assert [frame.index for frame in frames] == list(range(40))
        assert [frame.time for frame in frames] == [index / rate for index in range(40)]
        assert [frame.duration for frame in frames] == [1 / rate] * 40
        assert video.variable is False


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".nut"])
def test_a_varying_rate_keeps_its_times(tmp_path: Path, suffix: str):
    stamps = [0, 41, 83, 250, 333, 500, 501, 900, 1000, 1400]  # milliseconds
    path = coded(tmp_path / f"a{suffix}", drawn(10), stamps, tick=Fraction(1, 1000), rate=Fraction(7))
    with VideoReader(path) as video:
        frames = list(video.timed())
        assert [frame.time for frame in frames] == [Fraction(stamp, 1000) for stamp in stamps]
        assert [frame.duration for frame in frames[:-1]] == [
            Fraction(after - before, 1000) for before, after in pairwise(stamps)
        ]
        assert video.variable is True
        assert [frame.index for frame in video.timed()] == list(range(10))


def test_times_begin_at_the_first_frame_and_say_where_that_was(tmp_path: Path):
    path = coded(
        tmp_path / "a.mkv", drawn(5), [500 + 40 * i for i in range(5)], tick=Fraction(1, 1000), rate=Fraction(25)
    )
    with VideoReader(path) as video:
        assert video.start == Fraction(1, 2)
        assert [frame.time for frame in video.timed()] == [Fraction(i, 25) for i in range(5)]


def test_stamps_that_are_missing_or_disordered_are_set_by_the_rate():
    stamps = Stamps(Fraction(1, 1000), Fraction(10))
    found = [stamps.time(stamp) for stamp in (100, 200, None, 190, 500, 600)]
    assert found == [0, Fraction(1, 10), Fraction(2, 10), Fraction(3, 10), Fraction(4, 10), Fraction(5, 10)]
    assert stamps.repaired == 2
    assert not stamps.uneven
    unstamped = Stamps(Fraction(1, 1000), Fraction(10))
    assert [unstamped.time(None) for _ in range(3)] == [0, Fraction(1, 10), Fraction(2, 10)]
    assert unstamped.repaired == 3


def test_disordered_stamps_in_a_file_are_one_warning(tmp_path: Path):
    path = tmp_path / "a.nut"
    images = drawn(6)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=10, time_base=Fraction(1, 10))
        stream.height, stream.width, stream.pix_fmt = 48, 64, "bgr0"
        packets = []
        for index, image in enumerate(images):
            frame: Any = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet, stamp in zip(packets, [0, 1, 2, 2, 3, 5], strict=True):
            packet.pts, packet.dts = stamp, packet.pts - 4
            output.mux(packet)
    said: list[str] = []
    found = times(path, warn=said.append)
    assert found == sorted(set(found))
    assert len(found) == 6
    assert len(said) == 1
    assert "frame 3" in said[0]


@pytest.mark.parametrize(
    ("rate", "base", "tick", "meant"),
    [
        (Fraction(384000, 16013), Fraction(0), Fraction(1, 16000), FILM),  # milliseconds, copied to MP4
        (Fraction(2997, 125), Fraction(0), Fraction(1, 1000), FILM),
        (Fraction(1199, 50), Fraction(0), Fraction(1, 1000), Fraction(1199, 50)),  # 23.98, as somebody wrote it
        (Fraction(24), Fraction(0), Fraction(1, 1000), Fraction(24)),
        (Fraction(23000, 963), FILM, Fraction(1, 48000), FILM),  # a long last frame
        (Fraction(285, 22), Fraction(30), Fraction(1, 90000), Fraction(285, 22)),  # an average
    ],
)
def test_the_rate_that_a_file_means(rate: Fraction, base: Fraction, tick: Fraction, meant: Fraction):
    assert meant_rate(rate, base, tick) == meant


def test_an_average_on_a_fine_clock_moves_no_time():
    stamps = Stamps(Fraction(1, 90000), Fraction(285, 22))
    found = [stamps.time(stamp) for stamp in (0, 6940, 14000, 21000)]
    assert found == [Fraction(stamp, 90000) for stamp in (0, 6940, 14000, 21000)]


# --- pictures -----------------------------------------------------------------------------------------------


def test_pictures_are_those_of_plain_iteration_from_any_thread_and_in_any_order(tmp_path: Path):
    path = coded(tmp_path / "a.mp4", drawn(12))
    video = VideoReader(path)
    frames = list(video.timed())
    found: dict[int, np.ndarray] = {}

    def convert(part: list[Any]) -> None:
        for frame in part:
            found[frame.index] = frame.image()

    threads = [threading.Thread(target=convert, args=(frames[k::3][::-1],)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, image in enumerate(video):
        assert np.array_equal(found[index], image)
        assert frames[index].image() is found[index]


@pytest.mark.parametrize(("pixels", "wide"), [("yuv420p", 1), ("yuv444p", 2), ("gray", 2), ("yuv420p10le", 1)])
def test_luma_is_the_first_plane(tmp_path: Path, pixels: str, wide: int):
    path = coded(
        tmp_path / "a.mkv", drawn(3), codec="ffv1", pixels=pixels, tags={"color_range": wide},
        reformat={"dst_color_range": wide, "src_color_range": 2},
    )  # fmt: skip
    shift = 2 if "10" in pixels else 0
    with av.open(str(path)) as container:
        planes = [
            np.frombuffer(frame.planes[0], np.uint16 if shift else np.uint8).reshape(48, -1)[:, :64].copy()
            for frame in container.decode(video=0)
        ]
    frames = list(VideoReader(path, eight_bit=True).timed())
    for frame, plane in zip(frames, planes, strict=True):
        assert frame.luma().shape == (48, 64)
        assert np.abs(frame.luma() - plane / (1 << shift)).max() <= 0.5
        assert frame.luma() is frame.luma()


def test_luma_of_rgb_is_made_of_the_picture(tmp_path: Path):
    write_video(tmp_path / "a.mkv", drawn(3), Fraction(8))
    (first, *_) = VideoReader(tmp_path / "a.mkv").timed()
    red, green, blue = np.moveaxis(first.image().astype(float), 2, 0)
    assert np.abs(first.luma() - (0.299 * red + 0.587 * green + 0.114 * blue)).max() <= 1


def test_rotated_video_is_upright_in_picture_luma_and_size(tmp_path: Path):
    path = tmp_path / "a.mp4"
    images = drawn(4)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=24, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)
        for image in images:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    with VideoReader(path) as video:
        assert video.size == (48, 64)
        assert video.aspect == Fraction(3, 4)
        frames = list(video.timed())
        for frame, plain, image in zip(frames, video, images, strict=True):
            assert frame.image().shape == (64, 48, 3)
            assert frame.luma().shape == (64, 48)
            assert np.array_equal(frame.image(), plain)
            turns = [np.abs(frame.image() - np.rot90(image, k).astype(float)).mean() for k in (1, 3)]
            assert min(turns) < 12 < max(turns)


@pytest.mark.parametrize(
    ("matrix", "name", "wide"),
    [(1, "ITU709", 1), (5, "ITU601", 2), (6, "ITU601", 1), (9, "BT2020", 1), (9, "BT2020", 2)],
)
def test_colours_are_those_that_the_tags_mean(tmp_path: Path, matrix: int, name: str, wide: int):
    colours = [(200, 60, 20), (20, 200, 90), (13, 30, 180), (250, 250, 250)]
    images = np.stack([np.full((48, 64, 3), colour, np.uint8) for colour in colours])
    transfer = 14 if matrix == 9 else matrix
    tags = {"colorspace": matrix, "color_primaries": matrix, "color_trc": transfer, "color_range": wide}
    path = coded(
        tmp_path / "a.mp4", images, tags=tags, options={"crf": "2"},
        reformat={"dst_colorspace": name, "src_color_range": 2, "dst_color_range": wide},
    )  # fmt: skip
    with VideoReader(path) as video:
        assert video.colour == Colour(matrix, matrix, transfer, wide == 2)
        for frame, colour in zip(video.timed(), colours, strict=True):
            assert np.abs(frame.image().astype(int) - colour).max() <= 4


def test_untagged_video_is_standard_or_high_definition_by_its_size(tmp_path: Path):
    small = VideoReader(coded(tmp_path / "a.mp4", drawn(2))).colour
    large = VideoReader(coded(tmp_path / "b.mp4", drawn(2, 640, 64))).colour
    assert (small, large) == (Colour(6, 2, 2, named=False), Colour(1, 2, 2, named=False))
    write_video(tmp_path / "c.mkv", drawn(2), Fraction(8))
    assert VideoReader(tmp_path / "c.mkv").colour is None


# --- alpha --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        (".mkv", "ffv1", "bgra"), (".mov", "qtrle", "argb"), (".mov", "png", "rgba"), (".nut", "ffv1", "yuva444p"),
        (".webm", "libvpx-vp9", "yuva420p"), (".webm", "libvpx", "yuva420p"), (".mov", "prores_ks", "yuva444p10le"),
    ],
)  # fmt: skip
def test_alpha_is_read(tmp_path: Path, suffix: str, codec: str, pixels: str):
    images = drawn(5, channels=4)
    options = {"auto-alt-ref": "0", "crf": "4", "b": "4M"} if "vpx" in codec else {}
    path = coded(tmp_path / f"a{suffix}", images, codec=codec, pixels=pixels, options=options)
    with VideoReader(path, eight_bit=codec == "prores_ks") as video:
        assert video.alpha
        frames = [frame.image() for frame in video.timed()]
    assert len(frames) == 5
    for frame, image in zip(frames, images, strict=True):
        assert frame.shape == image.shape
        if not pixels.startswith("yuva"):
            assert np.array_equal(frame, image)
        error = np.abs(frame[..., 3].astype(int) - image[..., 3])
        assert error.max() <= (12 if "vpx" in codec else 1)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animated_pictures_keep_delays_and_alpha(tmp_path: Path, suffix: str):
    images = drawn(4, channels=4)
    images[..., 3] = np.where(images[..., 3] > 128, 255, 0)
    images[images[..., 3] == 0] = 0
    delays = [40, 200, 100, 70]
    pictures = [PIL.Image.fromarray(image) for image in images]
    more = (
        {"lossless": True, "exact": True, "kmax": 1}
        if suffix == ".webp"
        else {"disposal": 2}
        if suffix == ".gif"
        else {}
    )
    path = tmp_path / f"a{suffix}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays, loop=0, **more)
    with VideoReader(path) as video:
        assert video.alpha
        assert video.variable is True
        frames = list(video.timed())
        assert [frame.time * 1000 for frame in frames] == [0, 40, 240, 340]
        assert [frame.duration for frame in frames] == [Fraction(delay, 1000) for delay in delays]
        for frame, image, plain in zip(frames, images, video, strict=True):
            assert np.array_equal(frame.image()[..., 3], image[..., 3])
            if suffix != ".gif":
                assert np.array_equal(frame.image(), image)
            assert plain.shape == (48, 64, 3)
            assert (plain[image[..., 3] == 0] == 255).all()


def test_an_opaque_animation_has_three_channels_and_no_delay_is_a_tenth_of_a_second(tmp_path: Path):
    pictures = [PIL.Image.fromarray(image) for image in drawn(3)]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=[50, 0, 50])
    with VideoReader(tmp_path / "a.png") as video:
        assert not video.alpha
        frames = list(video.timed())
        assert [frame.time for frame in frames] == [0, Fraction(1, 20), Fraction(3, 20)]
        assert frames[0].image().shape == (48, 64, 3)


def test_a_folder_has_alpha_where_one_picture_has_it_and_refuses_16_bits(tmp_path: Path):
    images = drawn(3, channels=4)
    for index, image in enumerate(images):
        PIL.Image.fromarray(image if index == 1 else image[..., :3]).save(tmp_path / f"{index}.png")
    with VideoReader(tmp_path, fps=FILM) as video:
        assert (video.alpha, video.variable) == (True, False)
        frames = list(video.timed())
        assert [frame.time for frame in frames] == [index / FILM for index in range(3)]
        assert np.array_equal(frames[1].image(), images[1])
        assert (frames[0].image()[..., 3] == 255).all()
    PIL.Image.fromarray(images[0, ..., 0].astype(np.uint16) * 257).save(tmp_path / "3.png")
    deep = VideoReader(tmp_path, fps=FILM)
    with pytest.raises(InputError, match="16 bit") as caught:
        deep.timed()
    assert "--eight-bit" in caught.value.hints[0]
    last = list(VideoReader(tmp_path, fps=FILM, eight_bit=True).timed())[3]
    assert np.array_equal(last.image()[..., 0], images[0, ..., 0])


# --- refused ------------------------------------------------------------------------------------------------


def test_more_than_8_bits_are_refused_unless_allowed(tmp_path: Path):
    path = coded(
        tmp_path / "a.mkv", drawn(3), codec="ffv1", pixels="yuv444p10le", reformat={"dst_colorspace": "ITU601"}
    )
    with pytest.raises(InputError, match="is 10 bit per channel") as caught:
        VideoReader(path).timed()
    assert "--eight-bit" in caught.value.hints[0]
    said: list[str] = []
    frames = list(VideoReader(path, eight_bit=True, warn=said.append).timed())
    assert not said
    for frame, image in zip(frames, drawn(3), strict=True):
        assert np.abs(frame.image().astype(int) - image).max() <= 2


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_named_and_its_curve_is_kept(tmp_path: Path, transfer: int, name: str):
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer, "color_range": 1}
    path = coded(tmp_path / "a.mp4", drawn(3), pixels="yuv420p10le", tags=tags)
    with pytest.raises(InputError, match=rf"is HDR \({name}\), 10 bit"):
        VideoReader(path).timed()
    said: list[str] = []
    with VideoReader(path, eight_bit=True, warn=said.append) as video:
        assert video.colour == Colour(9, 9, transfer)
        assert len(list(video.timed())) == 3
    assert len(said) == 1
    assert f"its {name} curve is kept" in said[0]


def test_a_matrix_that_is_not_known_is_refused(tmp_path: Path):
    path = coded(tmp_path / "a.mp4", drawn(3), tags={"colorspace": 8})
    with pytest.raises(InputError, match="matrix 8"):
        VideoReader(path).timed()


def test_interlaced_video_is_one_warning(tmp_path: Path):
    path = coded(tmp_path / "a.mp4", drawn(4, 64), options={"x264opts": "tff=1", "flags": "+ildct+ilme"})
    said: list[str] = []
    assert len(times(path, warn=said.append)) == 4
    assert len(said) == 1
    assert "interlaced" in said[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif", ".webp", ".apng", ""])
def test_one_frame_is_refused_with_a_time_and_read_without(tmp_path: Path, suffix: str):
    write_video(tmp_path / f"a{suffix}", drawn(1), Fraction(8))
    with VideoReader(tmp_path / f"a{suffix}", fps=Fraction(8)) as video:
        assert len(list(video)) == 1
        with pytest.raises(InputError, match="holds one frame"):
            list(video.timed())


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".gif", ".webp", ".apng"])
def test_a_truncated_video_is_an_input_error(tmp_path: Path, suffix: str):
    if suffix == ".avi":
        coded(tmp_path / "a.avi", drawn(10), codec="mpeg4")
    else:
        write_video(tmp_path / f"a{suffix}", drawn(10), Fraction(8))
    data = (tmp_path / f"a{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    for tenths in range(1, 10):
        path.write_bytes(data[: len(data) * tenths // 10])
        with pytest.raises(InputError):
            list(VideoReader(path).timed())


@pytest.mark.parametrize("options", [{"level": "3", "slices": "4"}, {"level": "3", "slicecrc": "0"}, {"level": "1"}])
def test_every_kind_of_ffv1_is_read(tmp_path: Path, options: dict[str, str]):
    path = coded(tmp_path / "a.mkv", drawn(5), codec="ffv1", pixels="bgr0", options=options)
    assert len(times(path)) == 5


@pytest.mark.parametrize("suffix", [".mkv", ".nut"])
def test_a_single_wrong_byte_of_lossless_video_is_an_input_error(tmp_path: Path, suffix: str):
    """libav puts the frame before in the place of what is damaged, and says nothing."""
    path = coded(tmp_path / f"a{suffix}", drawn(6), codec="ffv1", pixels="bgr0", options={"slicecrc": "1"})
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for number, (start, size) in enumerate(places[1:], start=1):
        for inside in (size * number // len(places), size - 2, size - 7):  # a picture, its checksum, its length
            path.write_bytes(_flipped(data, start + inside))
            with pytest.raises(InputError, match=f"frame {number} is broken"), VideoReader(path) as video:
                list(video.timed())


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 65]) + data[place + 1 :]


def test_avi_counts_frames_that_were_left_out(tmp_path: Path):
    stamps = [0, 1, 4, 5, 6, 9]
    path = coded(tmp_path / "a.avi", drawn(6), stamps, codec="mpeg4", options={"bf": "0"})
    assert times(path) == [Fraction(stamp, 24) for stamp in stamps]


# --- real material ------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
def test_times_of_real_clips(real_data: Path):
    for name, count, fps in (
        ("synfig_eye_look", 26, 24), ("drascula_castle_pan_4x3", 33, 12), ("drascula_hall_4x3", 61, 12),
        ("drascula_bat_4x3", 15, 12), ("bigbuckbunny_rise", 60, 25),
    ):  # fmt: skip
        with VideoReader(real_data / "clips" / f"{name}.mp4") as video:
            frames = list(video.timed())
            assert [frame.time for frame in frames] == [Fraction(index, fps) for index in range(count)]
            assert frames[-1].duration == Fraction(1, fps)
            assert video.variable is False
            width, height = video.size
            assert frames[3].luma().shape == (height, width)
            assert np.array_equal(frames[3].image(), list(video)[3])
