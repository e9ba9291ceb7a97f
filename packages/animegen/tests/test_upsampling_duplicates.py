"""Held drawings, as they come out of an encoder, and the least that is a new drawing."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from animegen._cv2 import cv2
from animegen.imageio import read_image
from animegen.upsampling.duplicates import TOLERANCE, difference, is_duplicate
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import mark


def face(height: int = 1080, width: int = 1920, texture: float = 10.0):
    """A drawing with lines, flat colours and a painted ground, (height, width, 3) uint8."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ground = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 3)
    ground = 150 + 40 * np.sin(x / 90) * np.cos(y / 70) + texture * ground / ground.std()
    image = np.repeat(ground.clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)
    centre, unit = (width // 2, height // 2), height // 12
    cv2.ellipse(image, centre, (3 * unit, 4 * unit), 0, 0, 360, (236, 205, 180), -1, cv2.LINE_AA)
    cv2.ellipse(image, centre, (3 * unit, 4 * unit), 0, 0, 360, (30, 20, 20), max(unit // 12, 1), cv2.LINE_AA)
    for side in (-1, 1):
        eye = centre[0] + side * unit, centre[1] - unit
        cv2.ellipse(image, eye, (unit // 2, unit), 0, 0, 360, (40, 30, 60), max(unit // 10, 1), cv2.LINE_AA)
    return image


def encoded(frames, crf, preset="medium", tune=""):
    """Frames with the luma that x264 leaves of `frames`."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        options = {"crf": str(crf), "preset": preset, **({"tune": tune} if tune else {})}
        stream = output.add_stream("libx264", rate=24, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        output.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as source:
        return [plain(index, frame.to_ndarray(format="rgb24")) for index, frame in enumerate(source.decode(video=0))]


def plain(index, image):
    return ArrayFrame(index, Fraction(index, 24), np.ascontiguousarray(image))


def runs(frames):
    """How long each drawing lasts."""
    lengths = []
    for item in mark(frames, None, is_duplicate):
        if item.duplicate:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


def with_mouth(image, x, y, contrast):
    image = image.copy()
    image[y : y + 3, x : x + 5] = np.clip(image[y : y + 3, x : x + 5].astype(int) - contrast, 0, 255)
    return image


@pytest.mark.parametrize("place", [(960, 700), (961, 701), (962, 703), (963, 702)])
def test_a_small_mouth_that_moves_is_a_new_drawing(place):
    closed = face()
    opened = with_mouth(closed, *place, 45)
    assert not is_duplicate(plain(0, closed), plain(1, opened))
    assert runs(encoded([closed] * 2 + [opened] * 2 + [closed] * 2, 23, "veryfast")) == [2, 2, 2]


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (-0.7, 0.7)])
def test_a_slow_pan_is_no_held_drawing(speed, direction):
    wide = face(700, 1100)
    views = [
        cv2.warpAffine(
            wide, np.float32([[1, 0, -20 - index * speed * direction[0]], [0, 1, -20 - index * speed * direction[1]]]),
            (1024, 576), flags=cv2.INTER_CUBIC,
        )
        for index in range(5)
    ]  # fmt: skip
    assert runs([plain(index, view) for index, view in enumerate(views)]) == [1] * 5
    assert runs(encoded(views, 20, "veryfast")) == [1] * 5


def test_a_fade_is_no_held_drawing():
    image = face(360, 640)
    steps = [np.clip(image.astype(int) - index, 0, 255).astype(np.uint8) for index in range(4)]
    assert runs([plain(index, step) for index, step in enumerate(steps)]) == [1] * 4


@pytest.mark.parametrize("crf", [18, 23, 28])
@pytest.mark.parametrize(("height", "width"), [(360, 640), (1080, 1920)])
def test_a_held_drawing_is_known_through_compression(crf, height, width):
    drawing = face(height, width)
    arm = drawing.copy()
    cv2.line(arm, (width // 8, height // 2), (width // 4, height // 3), (20, 20, 20), max(height // 90, 2), cv2.LINE_AA)
    film = [drawing] * 6 + [arm] * 3 + [drawing] * 2 + [arm]
    assert runs(encoded(film, crf, "veryfast")) == [6, 3, 2, 1]


def test_the_tolerance_says_how_much():
    one = face(360, 640)
    assert is_duplicate(plain(0, one), plain(1, one.copy()), 0)
    other = with_mouth(one, 300, 200, 48)
    assert TOLERANCE < difference(plain(0, one).luma(), plain(1, other).luma()) < 48
    assert is_duplicate(plain(0, one), plain(1, other), 48)
    assert not is_duplicate(plain(0, one), plain(1, other))
    hardly = one.copy()
    hardly[5, 5] ^= 1
    assert is_duplicate(plain(0, one), plain(1, hardly), TOLERANCE / 10)
    assert not is_duplicate(plain(0, one), plain(1, hardly), 0)


def test_alpha_alone_can_make_a_new_drawing():
    image = np.dstack([face(90, 160), np.full((90, 160), 255, np.uint8)])
    hole = image.copy()
    hole[40:50, 60:80, 3] = 0
    assert not is_duplicate(plain(0, image), plain(1, hole))
    assert is_duplicate(plain(0, image), plain(1, hole), alpha=False)
    assert is_duplicate(plain(0, hole), plain(1, hole.copy()))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 5), (63, 65)])
def test_any_size_is_taken(size):
    one = np.full((*size, 3), 10, np.uint8)
    assert is_duplicate(plain(0, one), plain(1, one.copy()))
    assert not is_duplicate(plain(0, one), plain(1, one + np.uint8(100)))


@pytest.mark.data
@pytest.mark.parametrize("crf", [18, 23, 28])
@pytest.mark.parametrize(("preset", "tune", "least"), [("medium", "", 0.97), ("veryfast", "animation", 0.9)])
def test_a_drawn_eye_on_twos_and_threes(real_data, crf, preset, tune, least):
    drawings = [read_image(path) for path in sorted((real_data / "clips" / "synfig_eye_look").glob("*.png"))][::2]
    for lengths in ([2] * len(drawings), [3] * len(drawings), [1, 2, 3, 2, 4] * len(drawings)):
        lengths = lengths[: len(drawings)]
        numbers = [number for number, length in enumerate(lengths) for _ in range(length)]
        marked = list(mark(encoded([drawings[number] for number in numbers], crf, preset, tune), None, is_duplicate))
        steps = list(zip(marked[1:], pairwise(numbers), strict=True))
        held = [item.duplicate for item, (one, two) in steps if one == two]
        moved = [not item.duplicate for item, (one, two) in steps if one != two]
        assert np.mean(held) >= least, (lengths[:5], np.mean(held))
        assert np.mean(moved) == 1, lengths[:5]
