"""The clip a run gives back."""

from __future__ import annotations

import base64
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import animegen.clip
from animegen import Clip
from animegen.errors import InputError, UsageError
from animegen.video import FrameFolder, VideoReader, write_video


def frames(count: int = 5, height: int = 24, width: int = 36) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_facts_of_a_clip():
    clip = Clip(frames(61), Fraction(32))
    assert len(clip) == 61
    assert clip.size == (36, 24)
    assert clip.duration == Fraction(61, 32)
    assert repr(clip) == "Clip(61 frames, 36x24, 32 fps, 1.91 s)"
    assert np.array_equal(clip[3], frames(61)[3])
    assert np.array_equal(np.stack(list(clip)), clip.array())
    assert clip.sheet().shape[2] == 3


@pytest.mark.parametrize("name", ["a.mkv", "a.apng"])
def test_saved_and_opened_again(tmp_path: Path, name: str):
    saved = Clip(frames(), Fraction(24)).save(tmp_path / name)
    assert saved.path == tmp_path / name
    again = Clip.open(tmp_path / name)
    assert np.array_equal(again.array(), frames())
    assert again.fps == 24
    assert again.path == tmp_path / name


def test_a_folder_is_opened_lazily(tmp_path: Path):
    Clip(frames(), Fraction(8)).save(tmp_path / "frames")
    clip = Clip.open(tmp_path / "frames", fps=12.5)
    assert isinstance(clip.frames, FrameFolder)
    assert clip.fps == Fraction(25, 2)
    assert clip.size == (36, 24)
    assert np.array_equal(clip.array(), frames())
    assert clip.sheet().shape[2] == 3
    with pytest.raises(InputError, match="how fast"):
        Clip.open(tmp_path / "frames")


def test_the_id_of_the_run_goes_into_the_file(tmp_path: Path):
    Clip(frames(), Fraction(8), record={"id": "7f3c21e0"}).save(tmp_path / "a.mp4")
    assert VideoReader(tmp_path / "a.mp4").comment == "animegen run 7f3c21e0"
    Clip(frames(), Fraction(8), record={"id": "7f3c21e0"}).save(tmp_path / "a.mp4", comment="mine")
    assert VideoReader(tmp_path / "a.mp4").comment == "mine"


def test_a_notebook_shows_a_video_that_plays(tmp_path: Path):
    shown = Clip(frames(), Fraction(8))._repr_html_()
    assert all(word in shown for word in ("loop", "autoplay", "muted"))
    match = re.search(r"base64,([^\"]+)", shown)
    assert match
    (tmp_path / "a.mp4").write_bytes(base64.b64decode(match[1]))
    assert len(list(VideoReader(tmp_path / "a.mp4"))) == 5


def test_a_notebook_links_to_a_large_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(animegen.clip, "_EMBEDDED", 100)
    path = tmp_path / 'a "b".mp4'
    shown = Clip(frames(), Fraction(8)).save(path)._repr_html_()
    assert "a &quot;b&quot;.mp4" in shown
    assert len(shown) < 1000
    assert "data:image/png" in Clip(frames(), Fraction(8))._repr_html_()


def test_what_is_no_clip():
    with pytest.raises(UsageError, match="at least one frame"):
        Clip(frames(0), Fraction(8))
    with pytest.raises(UsageError, match="float32"):
        Clip(frames().astype(np.float32), Fraction(8))
    with pytest.raises(UsageError, match="cannot be played"):
        Clip(frames(), Fraction(0))


@pytest.mark.data
def test_a_real_clip(real_data: Path, tmp_path: Path):
    clip = Clip.open(real_data / "clips" / "synfig_eye_look", fps=24)
    assert (len(clip), clip.size, clip.duration) == (26, (480, 270), Fraction(26, 24))
    write_video(tmp_path / "a.mkv", clip, clip.fps)
    assert np.array_equal(Clip.open(tmp_path / "a.mkv").array(), clip.array())
