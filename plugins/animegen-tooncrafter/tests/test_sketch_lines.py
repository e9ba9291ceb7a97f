"""Lines of frames and of drawings: found where they were drawn, and nowhere else."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from animegen.imageio import read_image
from animegen.video import VideoReader
from animegen_tooncrafter.sketch.drawings import is_drawing, lines_of_drawing
from animegen_tooncrafter.sketch.fit import without_tone
from animegen_tooncrafter.sketch.lines import lines_of_clip, lines_of_frame

Plane = NDArray[np.float32]
SIZE = (320, 512)


def strokes(width: int = 2, scale: int = 1) -> Plane:
    """A face of sorts: ink (1) on nothing (0)."""
    height, wide = (side * scale for side in SIZE)
    plane = np.zeros((height, wide), np.uint8)
    for x, radius in ((256, 110), (220, 18), (295, 18)):
        y = 160 if radius == 110 else 140
        cv2.circle(plane, (scale * x, scale * y), radius * scale, 255, width, cv2.LINE_AA)
    cv2.line(plane, (225 * scale, 210 * scale), (290 * scale, 215 * scale), 255, width, cv2.LINE_AA)
    return plane.astype(np.float32) / 255


def frame(*, noise: float = 0, dots: int = 0, dim: float = 1, seed: int = 0) -> NDArray[np.uint8]:
    """The face in colour: a flat skin on a flat wall, dark outlines."""
    picture = np.full((*SIZE, 3), (120, 160, 210), np.float32)
    cv2.circle(picture, (256, 160), 110, (240, 205, 180), -1)
    if dots:
        ys, xs = np.mgrid[dots // 2 : SIZE[0] : dots, dots // 2 : SIZE[1] : dots]
        for x, y in zip(xs.flat, ys.flat, strict=True):
            cv2.circle(picture, (int(x), int(y)), max(1, dots // 4), (60, 60, 60), -1)
    ink = strokes(3)[..., None]
    picture = picture * (1 - ink) + 30 * ink
    picture = dim * picture + np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def recall(lines: Plane, truth: Plane, slack: int = 5) -> float:
    """Share of drawn lines near a found one."""
    near = cv2.dilate((lines > 0.3).astype(np.uint8), np.ones((slack, slack), np.uint8)) > 0
    return float(near[truth > 0.5].mean())


def precision(lines: Plane, truth: Plane, slack: int = 7) -> float:
    near = cv2.dilate((truth > 0.3).astype(np.uint8), np.ones((slack, slack), np.uint8)) > 0
    return float(near[lines > 0.3].mean())


@pytest.mark.parametrize(
    "kind",
    [{}, {"noise": 6}, {"noise": 12}, {"dim": 0.35}, {"dots": 3}, {"dots": 5}, {"dots": 8}],
    ids=["flat", "noise", "grain", "dim", "fine tone", "tone", "coarse tone"],
)
def test_the_outlines_of_a_frame_are_found_and_nothing_else(kind: dict[str, float]) -> None:
    found = lines_of_frame(without_tone(frame(**kind)))  # type: ignore[arg-type]
    assert found.shape == SIZE
    assert found.dtype == np.float32
    assert found.min() == 0
    assert 0.9 < found.max() <= 1
    truth = strokes(3)
    assert recall(found, truth) > 0.97
    assert precision(found, truth) > 0.99


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (90, 140, 60)])
def test_an_even_picture_has_no_lines(colour: tuple[int, int, int]) -> None:
    picture = np.full((*SIZE, 3), colour, np.uint8)
    assert lines_of_frame(picture).max() == 0
    assert lines_of_drawing(picture).max() == 0
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
    assert (lines_of_frame(noisy) > 0.3).mean() < 1e-3
    assert (lines_of_drawing(noisy) > 0.3).mean() < 1e-3
    assert not is_drawing(noisy)


def test_an_edge_without_an_outline_is_a_line_too() -> None:
    picture = np.full((*SIZE, 3), 200, np.uint8)
    picture[:, 256:] = 90
    columns = np.flatnonzero((lines_of_frame(picture) > 0.5).all(axis=0))
    assert len(columns) in (1, 2, 3)
    assert 255 <= columns.min() <= columns.max() <= 260


def test_lines_stand_still_where_the_picture_does() -> None:
    noisy = [frame(noise=4, seed=seed) for seed in range(4)]
    found = lines_of_clip(noisy)
    changed = sum(np.abs(a - b).sum() for a, b in pairwise(found))
    assert changed < 0.15 * sum(one.sum() for one in found[1:])


def test_a_line_that_fades_is_kept_beside_frames_where_it_is_clear() -> None:
    def faint(level: int) -> NDArray[np.uint8]:
        picture = frame()
        cv2.line(picture, (60, 40), (60, 280), (120 - level, 160 - level, 210 - level), 2)
        return picture

    def there(lines: Plane) -> float:
        return float((lines[60:260, 57:64].max(axis=1) > 0.1).mean())

    pictures = [faint(60), faint(14), faint(60)]
    alone, between = lines_of_frame(pictures[1]), lines_of_clip(pictures)[1]
    assert there(alone) == 0
    assert there(between) > 0.95
    apart = lines_of_clip(pictures, numbers=[2, 7, 12])[1]
    assert there(apart) == 0


def paper(
    ink: Plane, *, dark: float, colour: tuple[float, float, float] = (1, 1, 1), grain: float = 0
) -> NDArray[np.uint8]:
    """Pencil on cream paper, lit from the right."""
    sheet = np.ones((*ink.shape, 3), np.float32) * (240, 236, 225) * np.linspace(0.75, 1, ink.shape[1])[None, :, None]
    sheet = sheet - ink[..., None] * np.array(colour) * dark
    return np.clip(sheet + np.random.default_rng(0).normal(0, grain, (*ink.shape, 1)), 0, 255).astype(np.uint8)


DRAWINGS = {
    "ink": lambda: paper(strokes(2, 2), dark=220),
    "faint pencil": lambda: paper(strokes(2, 2), dark=70, grain=3),
    "blue pencil": lambda: paper(strokes(2, 2), dark=120, colour=(1, 0.5, 0.1), grain=3),
    "white on black": lambda: (255 * strokes(2, 2)[..., None].repeat(3, axis=2)).astype(np.uint8),
    "large scan": lambda: paper(strokes(3, 6), dark=180, grain=3),
    "small": lambda: paper(cv2.resize(strokes(3), (256, 160), interpolation=cv2.INTER_AREA), dark=200),
}


@pytest.mark.parametrize("kind", DRAWINGS)
def test_a_drawing_is_known_and_its_lines_become_white_on_black(kind: str) -> None:
    picture = DRAWINGS[kind]()
    assert is_drawing(picture)
    found = lines_of_drawing(picture, (512, 320))
    assert found.shape == SIZE
    truth = strokes(2)
    assert recall(found, truth) > 0.97
    assert precision(found, truth) > 0.99
    assert np.median(found[cv2.erode((found > 0.05).astype(np.uint8), np.ones((2, 2), np.uint8)) > 0]) > 0.5


def test_of_a_fill_only_the_outline_stays() -> None:
    ink = strokes(2)
    cv2.circle(ink, (80, 80), 40, 1.0, -1)
    found = lines_of_drawing(paper(ink, dark=200))
    assert found[80, 80] == 0
    assert found[80, 42] > 0.9


def test_coloured_frames_are_no_drawings() -> None:
    assert not is_drawing(frame())
    assert not is_drawing(frame(dots=6))
    assert not is_drawing(frame(dim=0.3))


@pytest.mark.data
def test_real_pictures_are_frames_and_their_lines_are_told(real_data: Path) -> None:
    pictures = sorted((real_data / "panels").glob("*.png")) + sorted((real_data / "stills43").glob("*.png"))
    assert [one.name for one in pictures if is_drawing(read_image(one))] == []
    panel = read_image(real_data / "panels" / "01_pageblanche_headturn_a.png")
    drawn = lines_of_drawing(paper(lines_of_frame(panel), dark=150, grain=3))
    again = lines_of_frame(panel)
    assert recall(drawn, again) > 0.95
    assert precision(drawn, again) > 0.95


@pytest.mark.data
@pytest.mark.parametrize(("clip", "most"), [("synfig_eye_look", 0.05), ("drascula_hall_4x3", 0.05)])
def test_lines_of_real_clips_stand_still_where_the_picture_does(real_data: Path, clip: str, most: float) -> None:
    frames = []
    for picture, _ in zip(VideoReader(real_data / "clips" / f"{clip}.mp4"), range(12), strict=False):
        frames.append(cv2.resize(picture, (426, 320), interpolation=cv2.INTER_AREA))
    found = lines_of_clip(frames)
    changed = drawn = 0.0
    for a, b, old, new in zip(frames, frames[1:], found, found[1:], strict=False):
        moved = (np.abs(a.astype(int) - b).max(axis=2) > 10).astype(np.uint8)
        still = cv2.dilate(moved, np.ones((9, 9), np.uint8)) == 0
        changed += float(np.abs(old - new)[still].sum())
        drawn += float((old + new)[still].sum()) / 2
    assert drawn > 1000
    assert changed < most * drawn
