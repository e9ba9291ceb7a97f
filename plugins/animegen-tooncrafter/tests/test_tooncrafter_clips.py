"""Clips to learn from: what is found, where cuts are, and that a sample is the same whenever it is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from animegen.errors import InputError, UsageError
from animegen.video import write_folder, write_video
from animegen_tooncrafter.training.clips import Clip, find_clips, fit, material_digest
from animegen_tooncrafter.training.options import RectificationOptions
from animegen_tooncrafter.training.samples import Stream

Picture = NDArray[np.uint8]


def drawing(index: int, scene: int = 0, size: tuple[int, int] = (96, 64)) -> Picture:
    """A scene of its own noise, with a square that moves by 2 px a frame and says its frame's number."""
    width, height = size
    noise = np.random.default_rng(scene).integers(0, 256, (height // 4, width // 4, 3))
    picture = np.kron(noise, np.ones((4, 4, 1))).astype(np.uint8)
    left = 2 * index % (width - 16)
    picture[24:40, left : left + 16] = (255, 255, 255)
    picture[:8, :8] = index * 3
    return picture


def scenes(*lengths: int) -> list[Picture]:
    return [drawing(index, scene) for scene, length in enumerate(lengths) for index in range(length)]


def found(folder: Path, **changed: object) -> tuple[list[Clip], list[str]]:
    return find_clips(folder, **{"threshold": 0.47, "folder_fps": 24.0, **changed})  # type: ignore[arg-type]


@pytest.fixture
def material(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    write_video(folder / "b.mkv", iter(scenes(40, 30)), fps=Fraction(12))
    (folder / "b.txt").write_text("a white\nsquare\n", "utf-8")
    write_folder(folder / "a", iter(scenes(20)))
    (folder / "a" / "caption.txt").write_text("pictures", "utf-8")
    write_video(folder / "more" / "short.mkv", iter(scenes(9)), fps=Fraction(24))
    (folder / "more" / "broken.mp4").write_bytes(b"no video")
    (folder / "notes.md").write_text("not a clip", "utf-8")
    return folder


def test_clips_captions_and_cuts_are_found(material: Path, tmp_path: Path) -> None:
    clips, odd = found(material, index=tmp_path / "index")
    assert [clip.name for clip in clips] == ["a", "b.mkv", "more/short.mkv"]
    assert [clip.text for clip in clips] == ["pictures", "a white square", ""]
    assert [clip.fps for clip in clips] == [24.0, 12.0, 24.0]
    assert clips[1].shots == ((0, 40), (40, 70)) and clips[1].frames == 70
    assert clips[1].size == (96, 64)
    assert len(odd) == 1 and odd[0].startswith("more/broken.mp4 is left out: ")
    assert len(list((tmp_path / "index").iterdir())) == 3
    again, _ = found(material, index=tmp_path / "index")
    assert again == clips and material_digest(again) == material_digest(clips)
    (material / "b.txt").write_text("another caption", "utf-8")
    assert material_digest(found(material)[0]) != material_digest(clips)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_metadata_names_captions_and_speeds(material: Path, kind: str) -> None:
    rows = {
        "jsonl": '{"file_name": "a", "text": "said, here", "fps": 8}\n',
        "csv": 'file_name,text,fps\na,"said, here",8\n',
    }
    (material / f"metadata.{kind}").write_text(rows[kind], "utf-8")
    clips, _ = found(material)
    assert (clips[0].text, clips[0].fps) == ("said, here", 8.0)
    assert clips[1].text == "a white square"
    (material / f"metadata.{kind}").write_text("no\nrows\n", "utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        found(material)


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"x")], ids=["empty", "file"]
)
def test_nothing_to_learn_from_is_said(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "material")
    with pytest.raises(InputError, match=r"material (holds no clips|is a file)"):
        found(tmp_path / "material")


def test_windows_span_no_cut_and_read_the_frames_they_say(material: Path) -> None:
    clips = [clip for clip in found(material)[0] if clip.longest_stride(16)]
    assert [clip.name for clip in clips] == ["a", "b.mkv"]
    stream = Stream(clips, RectificationOptions(), 16, seed=3)
    strides: Counter[int] = Counter()
    for number in range(300):
        window = stream.window(number)
        last = window.start + 15 * window.stride
        assert any(first <= window.start and last < end for first, end in window.clip.shots)
        if window.clip.name == "b.mkv":
            strides[window.stride] += 1
        assert window.fps == max(1, int(window.clip.fps) // window.stride)
    assert set(strides) == {1, 2}  # 40 frames hold sixteen at a stride of 2 at most
    frames = stream.window(1).read(96, 64)
    assert frames.shape == (16, 3, 64, 96)
    window = stream.window(1)
    numbers = [int(frame[:, :6, :6].float().mean().round()) // 3 for frame in frames]
    first = next(first for first, end in window.clip.shots if first <= window.start < end)
    assert numbers == [window.start - first + window.stride * index for index in range(16)]


def test_strides_are_drawn_evenly_where_clips_allow() -> None:
    clip = Clip(Path("c"), "c", "", 24.0, ((0, 500),), (96, 64), "d")
    stream = Stream([clip], RectificationOptions(), 16, seed=0)
    counts = Counter(stream.window(number).stride for number in range(3000))
    assert set(counts) == set(range(1, 7))
    assert all(400 < count < 600 for count in counts.values())
    assert {stream.window(number).fps for number in range(100)} == {24, 12, 8, 6, 4}
    times = [stream.draw(number).timestep for number in range(3000)]
    assert 0 <= min(times) < 10 and 990 < max(times) <= 999
    assert sum(times) / 3000 == pytest.approx(499.5, abs=20)


def test_the_stream_is_the_same_for_the_same_seed_and_sees_every_clip_each_round() -> None:
    clips = [Clip(Path(name), name, "", 24.0, ((0, 200),), (96, 64), name) for name in "abcde"]
    one, two = (Stream(clips, RectificationOptions(), 16, seed=1) for _ in range(2))
    far = 10**9
    assert one.window(far) == two.window(far) and one.draw(far) == two.draw(far)
    names = [one.window(number).clip.name for number in range(50)]
    for start in range(0, 50, 5):
        assert sorted(names[start : start + 5]) == list("abcde")
    assert names[:5] != names[5:10] or names[5:10] != names[10:15]
    other = Stream(clips, RectificationOptions(), 16, seed=2)
    assert [other.window(number) for number in range(5)] != [one.window(number) for number in range(5)]


def test_a_fixed_number_of_windows() -> None:
    clips = [Clip(Path(name), name, "", 24.0, ((0, 200),), (96, 64), name) for name in "ab"]
    stream = Stream(clips, RectificationOptions(windows=3), 16, seed=1)
    seen = {(window.clip.name, window.start, window.stride) for window in map(stream.window, range(200))}
    assert len(seen) == 6
    assert len({stream.draw(number).seed for number in range(200)}) == 200  # noise is new each time


@pytest.mark.parametrize(("size", "wanted"), [((96, 64), (64, 64)), ((50, 200), (128, 64)), ((64, 64), (64, 64))])
def test_frames_cover_the_size_and_keep_their_shape(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8] = 255  # a square in the middle
    made = fit(picture, *wanted)
    assert made.shape == (wanted[1], wanted[0], 3)
    inside = made[..., 0] > 127
    tall, wide = np.ptp(np.flatnonzero(inside.any(1))) + 1, np.ptp(np.flatnonzero(inside.any(0))) + 1
    assert abs(int(tall) - int(wide)) <= 1
    assert abs(float(np.flatnonzero(inside.any(0)).mean()) - (wanted[0] - 1) / 2) <= 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 500}, "width"),
        ({"least_stride": 4, "most_stride": 2}, "most_stride 2"),
        ({"towers": "x"}, "goes with"),
    ],
)
def test_options_that_do_not_go_together(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RectificationOptions(**changed)  # type: ignore[arg-type]
