"""Balloons in single panels: letters are measured by their balloon, so no enlargement and no crop matters."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animegen.media import union_mask
from animegen.pictures.sample import sample_pair
from animegen_manga.balloons import detect_balloons

LETTERS = {  # pen strokes in a unit square: a hand writing capitals
    "A": [[(0.1, 1), (0.5, 0), (0.9, 1)], [(0.25, 0.65), (0.75, 0.65)]],
    "C": [[(0.9, 0.2), (0.5, 0), (0.15, 0.3), (0.15, 0.7), (0.5, 1), (0.9, 0.8)]],
    "E": [[(0.9, 0), (0.1, 0), (0.1, 1), (0.9, 1)], [(0.1, 0.5), (0.7, 0.5)]],
    "N": [[(0.1, 1), (0.1, 0), (0.9, 1), (0.9, 0)]],
    "S": [[(0.9, 0.1), (0.4, 0), (0.15, 0.25), (0.85, 0.7), (0.6, 1), (0.1, 0.9)]],
    "T": [[(0.05, 0), (0.95, 0)], [(0.5, 0), (0.5, 1)]],
}
SIZE = 300
CENTRE, AXES = (170, 110), (125, 90)
"""A balloon over a third and more of a panel of 300 x 300 px."""


def panel(scale: int, words: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A figure before a wall under one thought balloon, drawn at 1x and enlarged as a panel is; and its truth."""
    image = np.full((SIZE, SIZE, 3), (150, 120, 190), np.uint8)
    rng = np.random.default_rng(5)
    for x in range(0, SIZE, 30):  # wall
        cv2.line(image, (x, 180), (x + int(rng.integers(-5, 5)), SIZE), (90, 70, 130), 1, cv2.LINE_AA)
    cv2.ellipse(image, (80, 235), (34, 40), 0, 0, 360, (235, 195, 175), cv2.FILLED)  # a face
    cv2.ellipse(image, (80, 235), (34, 40), 0, 0, 360, (20, 20, 20), 2, cv2.LINE_AA)
    for x in (66, 94):
        cv2.ellipse(image, (x, 228), (6, 8), 0, 0, 360, (20, 20, 20), 1, cv2.LINE_AA)
        cv2.circle(image, (x, 229), 2, (20, 20, 20), cv2.FILLED)
    cv2.ellipse(image, (80, 252), (12, 5), 0, 0, 180, (20, 20, 20), 1, cv2.LINE_AA)
    truth = np.zeros((SIZE, SIZE), np.uint8)
    if words:
        cv2.ellipse(image, CENTRE, AXES, 0, 0, 360, (255, 255, 255), cv2.FILLED)
        cv2.ellipse(image, CENTRE, AXES, 0, 0, 360, (20, 20, 20), 2, cv2.LINE_AA)
        cv2.ellipse(truth, CENTRE, (AXES[0] + 1, AXES[1] + 1), 0, 0, 360, 1, cv2.FILLED)
    for row, word in enumerate(words):
        top = CENTRE[1] + 44 * row - 22 * len(words) + 6
        for k, letter in enumerate(word):
            left = CENTRE[0] + 36 * k - 18 * len(word) + 5
            size = rng.integers(24, 32, 2)
            for stroke in LETTERS[letter]:
                points = np.round(np.array(stroke) * size + (left, top) + rng.uniform(-1, 1, 2)).astype(np.int32)
                cv2.polylines(image, [points], False, (20, 20, 20), 2, cv2.LINE_AA)
    size = (SIZE * scale, SIZE * scale)
    enlarged = cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4)
    return enlarged, cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST) > 0


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_large_handwriting_is_found_at_every_enlargement(scale):
    image, truth = panel(scale, ("CENT", "ANSE", "TSAC"))
    assert truth.mean() > 1 / 3
    (region,) = detect_balloons(image)
    assert iou(union_mask([region], *truth.shape), truth) > 0.93  # of a line enlarged some pixels are left out


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_same_panel_without_a_balloon_gives_none(scale):
    assert detect_balloons(panel(scale, ())[0]) == []


@pytest.mark.parametrize("margin", [0, 200, 500])
def test_the_picture_around_a_balloon_does_not_matter(margin):
    image, truth = panel(1, ("CENT", "ANSE", "TSAC"))
    wide = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    (region,) = detect_balloons(wide)
    assert iou(union_mask([region], *wide.shape[:2])[margin : margin + SIZE, margin : margin + SIZE], truth) > 0.95


@pytest.mark.parametrize("scale", [1, 2])
def test_the_bundled_pair_has_one_balloon_and_then_none(scale):
    pair = sample_pair()
    grown = [
        cv2.resize(p.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4) for p in (pair.first, pair.last)
    ]
    (region,) = detect_balloons(grown[0])
    (text,) = pair.first.text_boxes
    assert region.box.intersection(type(text)(*(v * scale for v in text))).area > 0.95 * text.area * scale**2
    assert detect_balloons(grown[1]) == []


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("02_pageblanche_bench_a", 1),
        ("02_pageblanche_bench_b", 0),
        ("03_pageblanche_turn_a", 0),
        ("03_pageblanche_turn_b", 1),
        ("04_pageblanche_bag_b", 1),
        ("08_torinome_girl_a", 2),
        ("09_harukosan_icecream_b", 1),
    ],
)
def test_real_panels_give_the_balloons_one_sees(real_data, name, count):
    image = cv2.imread(str(real_data / "panels" / f"{name}.png"))[..., ::-1].copy()
    assert len(detect_balloons(image)) == count
