"""Black bars stay clean, and nothing else is taken for one."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from animegen._cv2 import cv2
from animegen.upsampling.bars import Bars, find_bars, keep_bars

RNG = np.random.default_rng(4)


def scene(height=270, width=480, low=30, high=230):
    return cv2.GaussianBlur(RNG.integers(low, high, (height, width, 3), np.uint8), (0, 0), 1.5)


def boxed(image, top=0, bottom=0, left=0, right=0, level=0, noise=0):
    height, width = image.shape[:2]
    image = image.copy()
    black = np.clip(level + RNG.integers(-noise, noise + 1, image.shape), 0, 255).astype(np.uint8)
    for part in (
        np.s_[:top],
        np.s_[height - bottom :],
        np.s_[:, :left],
        np.s_[:, width - right :],
    ):
        image[part] = black[part]
    return image


@pytest.mark.parametrize("bars", [(0, 0, 0, 0), (35, 35, 0, 0), (0, 0, 60, 61), (20, 21, 30, 1), (1, 0, 0, 0)])
@pytest.mark.parametrize(("level", "noise"), [(0, 0), (0, 2), (16, 0), (16, 2)])
def test_bars_are_found_to_the_pixel(bars, level, noise):
    assert find_bars(boxed(scene(), *bars, level, noise)) == Bars(*bars)


@pytest.mark.parametrize("crf", [18, 24, 28])
def test_bars_are_found_through_compression(crf):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(boxed(scene(), 36, 36), format="rgb24")))
        output.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as source:
        for frame in source.decode(video=0):
            found = find_bars(frame.to_ndarray(format="rgb24"))
            assert 35 <= found.top <= 36  # although the picture rings into the rows next to it
            assert 35 <= found.bottom <= 36
            assert found.left == found.right == 0


def test_a_dark_scene_is_none():
    night = scene(low=0, high=40)
    assert find_bars(night) == Bars()
    assert find_bars(boxed(night, 20, 20)) == Bars(20, 20)
    assert find_bars(np.full((90, 160, 3), 30, np.uint8)) == Bars()  # flat, but grey
    starry = np.zeros((90, 160, 3), np.uint8)
    starry[10, 30] = 60
    assert find_bars(starry).top == 10  # as black above as any bar; the star is picture
    assert find_bars(np.dstack([np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8)])) == Bars()  # nothing at all


def test_only_what_is_bar_in_both_is_kept_clean():
    first, last = boxed(scene(), 40, 30), boxed(scene(), 36, 34, 10)
    common = find_bars(first).common(find_bars(last))
    assert common == Bars(36, 30)
    drawn = np.full_like(first, 99)
    result = keep_bars(drawn, first, common)
    assert (drawn == 99).all()  # a stage may keep what it drew
    np.testing.assert_array_equal(result[:36], first[:36])
    np.testing.assert_array_equal(result[240:], first[240:])
    assert (result[36:240] == 99).all()


def test_a_black_picture_is_all_bar():
    black = np.zeros((20, 30, 3), np.uint8)
    bars = find_bars(black)
    np.testing.assert_array_equal(keep_bars(np.full_like(black, 9), black, bars), black)
