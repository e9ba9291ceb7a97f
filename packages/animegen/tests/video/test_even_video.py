"""Videos at an even rate: a stretch is the same wherever it is begun, and what is no video is told."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from animegen.errors import InputError
from animegen.video import write_folder, write_video
from animegen.video.even import EvenVideo


def pictures(count: int) -> list[np.ndarray]:
    """Pictures that tell their number by a bar."""
    made = []
    for index in range(count):
        picture = np.full((64, 96, 3), 40, np.uint8)
        picture[:, : 2 * index + 2] = (230, 180, 60)
        made.append(picture)
    return made


def number(picture: np.ndarray) -> int:
    return int((picture[32, :, 0] > 135).sum() + 1) // 2 - 1


@pytest.mark.parametrize(("source", "rate"), [(24, 24), (12, 24), (30, 24), (25, 24), (48, 24), (24, None)])
def test_a_stretch_is_the_same_wherever_it_is_begun(tmp_path: Path, source: int, rate: int | None) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, iter(pictures(40)), fps=Fraction(source))
    video = EvenVideo.look(path, None if rate is None else Fraction(rate))
    whole = [(slot, number(frame.image())) for slot, frame in video.stretch()]
    assert video.seekable and video.slots == len(whole)
    assert [slot for slot, _ in whole] == list(range(len(whole)))
    # The last frame whose slot, rounded halves up, is not after this one.
    slots = [int(Fraction(index, source) * video.fps + Fraction(1, 2)) for index in range(40)]
    assert [shown for _, shown in whole] == [max(i for i in range(40) if slots[i] <= k) for k in range(len(whole))]
    for first, stop in ((0, 3), (7, 19), (len(whole) - 2, None), (len(whole) + 3, None)):
        assert [(slot, number(frame.image())) for slot, frame in video.stretch(first, stop)] == whole[first:stop]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_groups_that_lean_on_the_ones_before_are_read_from_their_middle(tmp_path: Path, suffix: str) -> None:
    """Open groups of pictures: after a key frame come some that are shown before it and need the last group."""
    av = pytest.importorskip("av")
    path = tmp_path / f"video.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = {"bf": "3", "g": "10", "x264-params": "open-gop=1:b-adapt=0"}
        for picture in pictures(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    video = EvenVideo.look(path, Fraction(24))
    assert video.seekable
    whole = [(slot, frame.image().tobytes()) for slot, frame in video.stretch()]
    assert len(whole) == 40
    for first in range(0, 40, 3):
        part = [(slot, frame.image().tobytes()) for slot, frame in video.stretch(first, first + 4)]
        assert part == whole[first : first + 4]


def test_a_file_is_read_through_but_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, index = tmp_path / "video.mp4", tmp_path / "index"
    write_video(path, iter(pictures(12)), fps=Fraction(24))
    video = EvenVideo.look(path, Fraction(24), index=index)
    monkeypatch.setattr("animegen.video.even.last_time", None)
    assert EvenVideo.look(path, Fraction(24), index=index) == video
    next(index.iterdir()).write_text("{}")
    with pytest.raises(TypeError):  # a damaged entry is found anew
        EvenVideo.look(path, Fraction(24), index=index)


def test_a_folder_of_pictures_has_the_rate_it_is_given(tmp_path: Path) -> None:
    write_folder(tmp_path / "frames", iter(pictures(6)))
    video = EvenVideo.look(tmp_path / "frames", Fraction(24), folder_fps=Fraction(12))
    assert (video.slots, video.seekable) == (11, False)
    assert [number(frame.image()) for _, frame in video.stretch(3, 8)] == [1, 2, 2, 3, 3]


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no video at all, but some text")
    with pytest.raises(InputError, match="not a video"):
        EvenVideo.look(tmp_path / "no.mp4")
    with pytest.raises(InputError):
        EvenVideo.look(tmp_path / "absent.mp4")


def test_a_file_that_breaks_off_is_told_where_it_does(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    write_video(path, iter(pictures(40)), fps=Fraction(24))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = os.urandom(400)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError):
        video = EvenVideo.look(path, Fraction(24))
        for _, frame in video.stretch():
            frame.image()
