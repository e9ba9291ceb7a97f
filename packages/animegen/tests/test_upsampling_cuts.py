"""Cuts: found between shots, not found in what moves."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest

from animegen._cv2 import cv2
from animegen.errors import UsageError
from animegen.imageio import read_image
from animegen.pictures.sample import sample_pair
from animegen.upsampling.cuts import THRESHOLD, CutDetector, GivenCuts
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import mark
from animegen.video import VideoReader


def drawn(seed: int, height: int = 360, width: int = 640):
    """A shot: shapes in greys over a ground with a slope, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    image = (x * rng.uniform(-0.2, 0.2) + y * rng.uniform(-0.2, 0.2) + rng.uniform(60, 190)).clip(0, 255)
    image = np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2).astype(np.uint8))
    for _ in range(30):
        centre = int(rng.integers(width)), int(rng.integers(height))
        axes = int(rng.integers(10, 90)), int(rng.integers(10, 90))
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, rng.integers(0, 256, 3).tolist(), -1)
    return image


def scores(images):
    detect = CutDetector()
    return [
        detect(ArrayFrame(index, Fraction(index), np.ascontiguousarray(image))) for index, image in enumerate(images)
    ]


def found(images):
    return [index for index, score in enumerate(scores(images)) if score >= THRESHOLD]


SHOTS = [drawn(seed) for seed in range(6)] + [cv2.resize(sample_pair().first.image, (640, 360))]


def test_every_cut_between_shots_is_found():
    for one, other in permutations(SHOTS, 2):
        assert found([one, one, other, other, other]) == [2]
    portrait = [np.ascontiguousarray(shot.transpose(1, 0, 2)) for shot in SHOTS]
    assert found(portrait) == list(range(1, len(portrait)))


@pytest.mark.parametrize("speed", [1, 9, 40, 90], ids="{} px".format)
def test_a_pan_is_no_cut_however_fast(speed):
    wide = drawn(11, 360, 1600)
    views = [wide[:, x : x + 640] for x in range(0, min(900, 12 * speed), speed)]
    assert max(scores(views)) < THRESHOLD
    assert found([*views, drawn(12)]) == [len(views)]


def test_a_dissolve_a_fade_and_lightning_are_no_cuts():
    for one, other in pairwise(SHOTS):
        steps = [cv2.addWeighted(one, 1 - step / 12, other, step / 12, 0) for step in range(13)]
        assert found(steps) == []
        black = np.zeros_like(one)
        steps = [cv2.addWeighted(one, 1 - step / 12, black, step / 12, 0) for step in range(13)]
        assert found([*steps, *steps[::-1]]) == []
        light = np.clip(one * 1.4 + 20, 0, 255).astype(np.uint8)
        assert found([one, light, one]) == []


def test_black_and_blank_frames_are_cut_off_on_both_sides():
    for shot in SHOTS:
        black, white = np.zeros_like(shot), np.full_like(shot, 255)
        assert found([shot, shot, black, black, shot]) == [2, 4]
        assert found([shot, white, shot]) == [1, 2]
        assert found([black, black, white // 255 * 16]) == []  # black is not all of one kind


def test_duplicates_and_noise_do_not_matter():
    rng = np.random.default_rng(1)
    film = []
    for shot in SHOTS[:4]:
        for held in (3, 2, 2):
            shot = np.roll(shot, 12, axis=1)
            film += [np.clip(shot + rng.normal(0, 3, shot.shape), 0, 255).astype(np.uint8) for _ in range(held)]
    assert found(film) == [7, 14, 21]


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (9, 5), (36, 64), (37, 53)])
def test_any_size_is_taken(size):
    images = [np.full((*size, 3), value, np.uint8) for value in (0, 200, 200)]
    assert all(0 <= score <= 1 for score in scores(images))


def test_the_threshold_can_be_moved():
    film = [ArrayFrame(index, Fraction(index), image) for index, image in enumerate(SHOTS[:3])]
    assert [item.cut for item in mark(film, CutDetector())] == [False, True, True]
    assert [item.cut for item in mark(film, CutDetector(1.0))] == [False, False, False]
    for wrong in (0, -1, 1.01, float("nan")):
        with pytest.raises(UsageError, match="it takes more than 0, at most 1"):
            CutDetector(wrong)


def test_given_cuts_are_taken_as_they_are():
    film = [ArrayFrame(index, Fraction(index), SHOTS[0]) for index in range(6)]
    assert [item.frame.index for item in mark(film, GivenCuts([3, 5, 0, 99])) if item.cut] == [3, 5]
    with pytest.raises(UsageError, match="before frame -2"):
        GivenCuts([4, -2])


@pytest.fixture(scope="module")
def shots(real_data):
    """Small lumas of the real clips and of pages held as shots, by name."""
    read = {}
    for path in sorted((real_data / "clips").glob("*.mp4")):
        with VideoReader(path) as reader:
            read[path.stem] = [small(frame) for frame in reader]
    for path in sorted(real_data.glob("pages/images/*/*.jpg"))[::2]:
        read[f"{path.parent.name} {path.stem}"] = [small(read_image(path)[:700])] * 3
    return read


def small(image):
    # What the detector makes of a frame: all of it is kept, and a thousand films are joined in a second.
    return cv2.resize(image, (64, 36), interpolation=cv2.INTER_AREA)


@pytest.mark.data
@pytest.mark.parametrize("step", [1, 2, 3])
def test_real_shots_hold_no_cut(shots, step):
    for name, frames in shots.items():
        for start in range(step):
            assert found(frames[start::step]) == [], name


@pytest.mark.data
def test_every_cut_between_real_shots_is_found(shots):
    for (name, one), (other, two) in permutations(shots.items(), 2):
        assert found([*one[-3:], *two[:3]]) == [len(one[-3:])], f"{name} to {other}"
        threes = [frame for frame in (*one[-2:], *two[:2]) for _ in range(3)]
        assert found(threes) == [6], f"{name} to {other} on threes"
