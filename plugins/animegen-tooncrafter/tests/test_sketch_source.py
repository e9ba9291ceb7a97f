"""Drawings from folders, clips and pictures: which frame they steer, where they lie, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from animegen.errors import AnimeGenError, InputError, UsageError
from animegen.imageio import write_image
from animegen.options import describe_options, resolve, to_json
from animegen.pictures.sizing import plan_fit
from animegen.stages import Needs
from animegen.video import write_video
from animegen_tooncrafter.sketch import positions
from animegen_tooncrafter.sketch.fit import hints
from animegen_tooncrafter.sketch.options import SketchOptions
from animegen_tooncrafter.sketch.source import assign, look, read

Image = NDArray[np.uint8]
FRAMES = 16


def drawing(level: int = 0, size: tuple[int, int] = (96, 64)) -> Image:
    """A cross on paper; `level` is where, so that drawings can be told apart."""
    width, height = size
    picture = np.full((height, width, 3), 250, np.uint8)
    picture[height // 2, 4:-4] = 20
    picture[4:-4, 4 + level : 6 + level] = 20
    return picture


def folder(path: Path, names: list[str]) -> Path:
    path.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        write_image(path / name, drawing(3 * index))
    return path


def counted(path: Path, count: int, start: int = 1) -> Path:
    return folder(path, [f"{index:03d}.png" for index in range(start, start + count)])


def clip(path: Path, count: int) -> Path:
    write_video(path, [drawing(2 * index) for index in range(count)], fps=Fraction(8))
    return path


def places(path: Path, frames: int = FRAMES, seed: int = 0, **options: Any) -> dict[int, int]:
    return assign(look(path), SketchOptions(sketch=str(path), **options), frames, seed)


def test_bisection_takes_the_middle_first_then_the_quarters() -> None:
    assert positions.bisection(16) == (8, 4, 12, 2, 6, 10, 14, 1, 3, 5, 7, 9, 11, 13, 0, 15)
    assert positions.bisection(5) == (2, 1, 3, 0, 4)
    assert [positions.bisection(count) for count in (1, 2, 3)] == [(0,), (0, 1), (1, 0, 2)]
    for frames in range(1, 40):
        assert sorted(positions.bisection(frames)) == list(range(frames))


def test_random_positions_are_those_of_the_seed() -> None:
    orders = [positions.at_random(FRAMES, seed) for seed in range(20)]
    assert orders[3] == positions.at_random(FRAMES, 3)
    assert len(set(orders)) == 20
    assert all(sorted(order) == list(range(FRAMES)) and order[-2:] == (0, 15) for order in orders)
    assert {order[0] for order in orders} > {order[0] for order in orders[:3]}


def test_even_positions_are_different_and_between_the_keyframes() -> None:
    assert positions.evenly(16, 1) == (8,)
    assert positions.evenly(16, 2) == (5, 10)
    assert positions.evenly(16, 14) == tuple(range(1, 15))
    for frames in range(3, 33):
        for count in range(1, frames - 1):
            chosen = positions.evenly(frames, count)
            assert list(chosen) == sorted(set(chosen))
            assert 1 <= chosen[0] <= chosen[-1] <= frames - 2


def test_names_say_frames(tmp_path: Path) -> None:
    path = folder(tmp_path / "s", ["girl2_04.png", "girl2_11.png", "girl2_8.png"])
    assert places(path) == {4: 0, 8: 1, 11: 2}
    assert [file.name for file in look(path).files] == ["girl2_04.png", "girl2_8.png", "girl2_11.png"]
    assert places(path, sketch_count=1) == {8: 1}
    assert places(path, sketch_frames=(11, 4)) == {4: 0, 11: 2}


def test_names_that_only_count_are_spread_evenly_and_a_whole_clip_frame_by_frame(tmp_path: Path) -> None:
    assert places(counted(tmp_path / "a", 3)) == {4: 0, 8: 1, 11: 2}
    assert places(counted(tmp_path / "b", 1)) == {8: 0}
    assert places(counted(tmp_path / "c", 16, start=0)) == {frame: frame for frame in range(16)}
    assert places(counted(tmp_path / "d", 16, start=1), sketch_count=3) == {4: 4, 8: 8, 12: 12}
    assert places(counted(tmp_path / "e", 3), sketch_frames=(2, 9, 5)) == {2: 0, 5: 2, 9: 1}
    assert places(folder(tmp_path / "f", ["b.png", "a.png"])) == {5: 0, 10: 1}


def test_a_clip_lasts_as_long_as_the_one_that_is_drawn(tmp_path: Path) -> None:
    longer = places(clip(tmp_path / "a.mkv", 31))
    assert longer == {frame: 2 * frame for frame in range(16)}
    assert places(tmp_path / "a.mkv", sketch_count=3) == {4: 8, 8: 16, 12: 24}
    assert places(tmp_path / "a.mkv", sketch_frames=(0, 15)) == {0: 0, 15: 30}
    assert places(clip(tmp_path / "b.gif", 3)) == {4: 0, 8: 1, 11: 2}
    assert places(tmp_path / "b.gif", sketch_frames=(1, 2, 3)) == {1: 0, 2: 1, 3: 2}
    some = places(tmp_path / "a.mkv", sketch_count=4, sketch_positions="random", seed=5)
    assert len(some) == 4
    assert all(longer[frame] == index for frame, index in some.items())
    assert some != places(tmp_path / "a.mkv", sketch_count=4, sketch_positions="random", seed=6)


def test_one_picture_is_of_the_middle_or_of_the_frame_that_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "girl_3.png", drawing())
    assert places(tmp_path / "girl_3.png") == {8: 0}
    assert places(tmp_path / "girl_3.png", sketch_frames=(3,)) == {3: 0}
    assert places(tmp_path / "girl_3.png", frames=9) == {4: 0}


@pytest.mark.parametrize("what", ["folder", "clip"])
def test_what_is_read_is_what_belongs_there(tmp_path: Path, what: str) -> None:
    path = counted(tmp_path / "s", 3) if what == "folder" else clip(tmp_path / "s.mkv", 3)
    step = 3 if what == "folder" else 2
    found = read(look(path), places(path))
    assert list(found) == [4, 8, 11]
    for index, frame in enumerate(found):
        assert np.abs(found[frame].astype(int) - drawing(step * index)).max() <= 2


BAD: dict[str, tuple[str, dict[str, Any], type[AnimeGenError], str]] = {
    "absent": ("absent.png", {}, InputError, "does not exist"),
    "near": ("drawing", {}, InputError, "does not exist"),
    "empty folder": ("empty", {}, InputError, "holds no pictures"),
    "text": ("notes.txt", {}, InputError, "not a video"),
    "broken picture": ("broken.png", {}, InputError, "not an image"),
    "nothing": ("nothing.mp4", {}, InputError, "0 bytes"),
    "beyond the clip": ("beyond", {}, InputError, r"frame 20 \(20.png\); the clip has frames 0 .. 15"),
    "fifteen": ("fifteen", {}, InputError, "15 drawings for 16 frames"),
    "too few": ("drawings", {"sketch_frames": (1, 2, 3, 4)}, InputError, "3 drawings; .* names 4 frames"),
    "one for two": ("one.png", {"sketch_frames": (1, 2)}, InputError, "1 drawing; .* names 2 frames"),
    "frame 16": ("drawings", {"sketch_frames": (1, 2, 16)}, UsageError, "names frame 16; the clip has frames 0 .. 15"),
    "twice": ("drawings", {"sketch_frames": (1, 2, 1)}, UsageError, "names frame 1 twice"),
    "too many": ("drawings", {"sketch_count": 4}, UsageError, "sketch_count of tooncrafter is 4; .* 3 frames"),
    "other sizes": ("sizes", {}, InputError, "2.png is 64x64; the drawings before it are 96x64"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_with_what_to_do(tmp_path: Path, case: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing drawn yet")
    (tmp_path / "notes.txt").write_text("nothing drawn yet")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    (tmp_path / "nothing.mp4").write_bytes(b"")
    write_image(tmp_path / "one.png", drawing())
    counted(tmp_path / "drawings", 3)
    counted(tmp_path / "fifteen", 15)
    folder(tmp_path / "beyond", ["4.png", "20.png"])
    folder(tmp_path / "sizes", ["1.png"])
    write_image(tmp_path / "sizes" / "2.png", drawing(size=(64, 64)))
    name, options, kind, words = BAD[case]
    with pytest.raises(kind, match=words) as caught:
        read(look(tmp_path / name), places(tmp_path / name, **options))
    assert isinstance(caught.value, AnimeGenError)
    assert caught.value.hints


def panel(size: tuple[int, int], seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(512, 320), (600, 888), (907, 227), (640, 480), (301, 199)])
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_drawings_are_letterboxed_like_the_panels(size: tuple[int, int], scale: float) -> None:
    fitting = plan_fit(size, size, needs=Needs(multiple_of=64, size=(512, 320)))
    keyframe = fitting.apply(panel(size), 0)
    width, height = round(size[0] * scale), round(size[1] * scale)
    sheet = np.full((height, width, 3), 250, np.uint8)
    thick = max(2, round(3 * width / fitting.inner.width))
    sheet[height // 4 : height // 4 + thick, :] = 10
    sheet[:, width * 3 // 4 : width * 3 // 4 + thick] = 10
    lines = hints({8: sheet}, keyframe)[8]
    assert lines.shape == keyframe.shape[:2]
    inner = fitting.inner
    outside = lines.copy()
    # Drawings of another size round otherwise, by a pixel.
    outside[max(0, inner.y0 - 1) : inner.y1 + 1, max(0, inner.x0 - 1) : inner.x1 + 1] = 0
    assert outside.max() == 0
    rows = np.flatnonzero(lines[:, inner.x0 + 5 : inner.x0 + inner.width // 2].mean(axis=1) > 0.5)
    columns = np.flatnonzero(lines[inner.y0 + inner.height // 2 : inner.y1 - 5].mean(axis=0) > 0.5)
    assert abs(rows.mean() - (inner.y0 + inner.height / 4)) < 3
    assert abs(columns.mean() - (inner.x0 + inner.width * 3 / 4)) < 3


def test_another_aspect_is_refused_or_said() -> None:
    keyframe = plan_fit((600, 888), (600, 888), needs=Needs(size=(512, 320))).apply(panel((600, 888)), 0)
    with pytest.raises(InputError, match=r"907x227, an aspect of 4.00; the panels have one of about 0.6") as caught:
        hints({8: drawing(size=(907, 227))}, keyframe)
    assert "first panel" in caught.value.hints[0]
    said: list[str] = []
    hints({8: drawing(size=(600, 888))}, keyframe, warn=said.append)
    assert said == []
    hints({8: drawing(size=(512, 320))}, keyframe, warn=said.append)
    assert len(said) == 1
    assert "512x320" in said[0]
    blank = np.full((320, 512, 3), 255, np.uint8)
    assert hints({8: drawing(size=(100, 400))}, blank)[8].shape == (320, 512)


def test_a_blank_drawing_is_said_and_kinds_are_seen() -> None:
    keyframe = panel((512, 320))
    said: list[str] = []
    blank = np.full((320, 512, 3), 255, np.uint8)
    hints({4: blank, 8: drawing(size=(512, 320))}, keyframe, warn=said.append)
    assert len(said) == 1
    assert "frame 4 has no lines" in said[0]
    filled = np.full((320, 512, 3), (90, 160, 220), np.uint8)
    filled[80:240, 100:400] = (230, 180, 140)
    auto, frames, lines = (hints({8: filled}, keyframe, kind)[8] for kind in ("auto", "frames", "lines"))
    assert np.array_equal(auto, frames)
    assert not np.array_equal(frames, lines)
    assert frames[160, 250] == 0
    assert frames[120:200, 95:105].max() > 0.9


def test_options_have_the_defaults_of_the_reconstruction_and_pin_the_drawings(tmp_path: Path) -> None:
    assert SketchOptions().sketch_scale == 0.6
    assert SketchOptions().sketch_digest == ""
    assert all(info.name.startswith("sketch") for info in describe_options(SketchOptions))
    path = counted(tmp_path / "s", 3)
    one = SketchOptions(sketch=str(path))
    assert len(one.sketch_digest) == 64
    again = resolve(SketchOptions, []).values
    assert again == SketchOptions()
    assert SketchOptions(**{**to_json(one), "sketch_frames": ()}) == one
    write_image(path / "002.png", drawing(40))
    assert SketchOptions(sketch=str(path)).sketch_digest != one.sketch_digest
    assert SketchOptions(sketch=str(path), sketch_digest=one.sketch_digest).sketch_digest != one.sketch_digest
    (path / "002.png").rename(path / "009.png")
    assert SketchOptions(sketch=str(path)).sketch_digest not in ("", one.sketch_digest)
    assert SketchOptions(sketch=str(tmp_path / "absent")).sketch_digest == ""
