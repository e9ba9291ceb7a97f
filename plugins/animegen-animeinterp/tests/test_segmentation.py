"""Segmentation: the regions that the plain algorithm finds, one after another, on any picture."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from animegen._cv2 import cv2
from animegen_animeinterp.regions import Regions
from animegen_animeinterp.segmentation import STYLES, fill, in_order, line_image, merge, segment, thin, trapped_ball

Array = np.ndarray[Any, Any]
PLAIN = Path(__file__).parents[3] / "benchmarks" / "plain_segmentation.py"


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    """The algorithm as described, from the benchmarks."""
    pytest.importorskip("scipy")
    spec = importlib.util.spec_from_file_location("plain_segmentation", PLAIN)
    if spec is None or spec.loader is None or not PLAIN.is_file():
        pytest.skip("the benchmarks are not here")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scribble(seed: int) -> Array:
    """A picture of up to 70 × 70 with flat or soft colours and a few strokes."""
    random = np.random.default_rng(seed)
    height, width, grain = *random.integers(1, 70, 2).tolist(), int(random.integers(2, 9))
    coarse = random.integers(0, 256, (height // grain + 1, width // grain + 1, 3)).astype(np.uint8)
    picture = np.array(cv2.resize(coarse, (width, height), interpolation=int(random.integers(0, 3))))
    for _ in range(int(random.integers(0, 9))):
        ends = random.integers(-9, 79, (2, 2)).tolist()
        cv2.line(picture, *ends, random.integers(0, 256, 3).tolist(), int(random.integers(1, 4)))
    return picture


@pytest.mark.parametrize("seed", range(6))
def test_every_step_gives_what_the_plain_algorithm_gives(seed: int, plain: ModuleType) -> None:
    picture = scribble(seed)
    random = np.random.default_rng(seed)
    for style in STYLES:
        lines = plain.lines(picture, style)
        assert np.array_equal(line_image(picture, STYLES[style]), lines)
        for paper in (lines > 220, random.random(lines.shape) < 0.9):
            fills = plain.fill_map(np.where(paper, 255, 0).astype(np.uint8))
            assert np.array_equal(fill(paper)[0].labels, fills)
            merged = plain.merged(fills, picture)
            assert np.array_equal(merge(fills.astype(np.int32), picture), merged)
            thinned = plain.thinned(merged)
            assert np.array_equal(thin(merged.astype(np.int32)), thinned)
            assert np.array_equal(in_order(thinned.astype(np.int32)), plain.ordered(thinned))


@pytest.mark.parametrize("seed", [1, 4])
def test_the_limits_of_the_algorithm_hold(seed: int, plain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = np.random.default_rng(seed).random((60, 50)) < 0.9
    free = fill(paper)[1]
    assert min(free[1:]) > 7
    for module, balls, floods in ((plain, "MOST_BALLS", "MOST_FLOODS"), (trapped_ball, "MOST_FILLS", "MOST_FLOODS")):
        monkeypatch.setattr(module, balls, 5)
        monkeypatch.setattr(module, floods, 7)
    fills, counts = fill(paper)
    assert counts[1:] == (5, 5, 7)
    assert np.array_equal(fills.labels, plain.fill_map(np.where(paper, 255, 0).astype(np.uint8)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (16, 16), (3, 40)])
@pytest.mark.parametrize("level", [0, 255])
def test_a_flat_picture_is_one_region(size: tuple[int, int], level: int) -> None:
    labels = segment(np.full((*size, 3), level, np.uint8))
    assert labels.shape == size
    assert not labels.any()


def test_a_ball_does_not_go_through_a_gap_that_a_flood_goes_through() -> None:
    paper = np.ones((40, 60), bool)
    paper[:, 30] = False
    paper[18:21, 30] = True
    fills, counts = fill(paper)
    assert counts[0] == 1 and counts[1] >= 1  # the larger room with the largest ball, the other with the next
    assert fills.labels[20, 10] != fills.labels[20, 50]
    closed = paper.copy()
    closed[18:21, 30] = False
    assert trapped_ball.floods(paper).made == 1
    assert trapped_ball.floods(closed).made == 2


def test_regions_are_numbered_by_size_and_cover_the_picture() -> None:
    picture = np.full((80, 120, 3), 230, np.uint8)
    cv2.circle(picture, (30, 40), 20, (200, 60, 60), -1)
    cv2.circle(picture, (85, 40), 28, (60, 60, 200), -1)
    for centre, radius in (((30, 40), 20), ((85, 40), 28)):
        cv2.circle(picture, centre, radius, (10, 10, 10), 2)
    labels = segment(picture)
    areas = np.bincount(labels.ravel())
    assert len(areas) == 3
    assert (np.diff(areas) >= 0).all() and areas.all()
    assert (labels[40, 30], labels[40, 85], labels[2, 2]) == (0, 1, 2)


def test_regions_are_measured() -> None:
    labels = np.array([[2, 2, 0], [2, 1, 1]], np.int32)
    regions = Regions.of(labels)
    assert regions.areas.tolist() == [1, 2, 3]
    assert regions.x.tolist() == [2, 1.5, 1 / 3]
    assert regions.y.tolist() == [0, 1, 1 / 3]
    assert regions.boxes.tolist() == [[0, 0, 2, 2], [1, 1, 1, 2], [0, 1, 0, 1]]
    assert regions.mask(2).tolist() == [[True, True], [True, False]]
    assert regions.diagonal == pytest.approx(13**0.5)


REAL = {
    "panels/01_pageblanche_headturn_a.png": 0,
    "panels/08_torinome_girl_b.png": 0,
    "clips/drascula_hall_4x3.mp4": 20,
}


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_drawings_have_the_plain_algorithms_regions(name: str, real_data: Path, plain: ModuleType) -> None:
    """At half the authors' size, for the plain algorithm's sake; whole pictures are compared by the benchmark."""
    if name.endswith(".png"):
        picture = cv2.imread(str(real_data / name))
    else:
        clip = cv2.VideoCapture(str(real_data / name))
        picture = [clip.read()[1] for _ in range(REAL[name] + 1)][-1]
        clip.release()
    picture = cv2.resize(picture, (480, 270), interpolation=cv2.INTER_AREA)
    assert np.array_equal(segment(picture), plain.segment(picture))
