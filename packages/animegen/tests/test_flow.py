"""The built-in flow interpolator: its contract, what it moves, what it admits it cannot."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from animegen._cv2 import cv2
from animegen.builtin.flow import Flow
from animegen.builtin.lines import line_map, luma
from animegen.builtin.metrics import LineChamfer, Psnr
from animegen.builtin.plugin import FlowOptions


class Recorder:
    """A context that keeps warnings."""

    devices = ("cpu",)
    dtype = "auto"

    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


def between(first, last, times=(0.5,), **options):
    context = Recorder()
    return Flow(FlowOptions(**options), context)(first, last, list(times)), context.warnings


def texture(height, width, seed=0, sigma=3.0):
    """Soft coloured blobs about `sigma` px wide, as in a painted background."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.clip((blurred - blurred.mean()) * 2.7 * sigma + 128, 0, 255).astype(np.uint8)


def figure(x, y=150, height=320, width=480):
    """A face and a body in thin black line on white, at (x, y)."""
    image = np.full((height, width, 3), 255, np.uint8)
    ink = ((0, 0, 0), 2, cv2.LINE_AA)
    cv2.circle(image, (x, y), 50, *ink)
    cv2.circle(image, (x - 17, y - 8), 7, *ink)
    cv2.circle(image, (x + 17, y - 8), 7, *ink)
    cv2.ellipse(image, (x, y + 20), (20, 9), 0, 0, 180, *ink)
    for tuft in range(5):
        cv2.line(image, (x - 42 + tuft * 21, y - 65 - 4 * tuft), (x - 38 + tuft * 18, y - 34), *ink)
    cv2.line(image, (x, y + 50), (x, y + 130), *ink)
    cv2.line(image, (x, y + 70), (x - 45, y + 105), *ink)
    cv2.line(image, (x, y + 70), (x + 45, y + 105), *ink)
    return image


def psnr(image, truth):
    return Psnr().frame(image, truth)["psnr"]


@pytest.mark.parametrize("size", [(37, 53), (1, 1), (1, 200), (200, 1), (2, 3), (64, 64), (16, 200), (240, 320)])
def test_any_size_gives_frames_of_that_size_and_leaves_the_inputs(size):
    first, last = texture(*size), texture(*size, seed=1)
    before = first.copy(), last.copy()
    frames, _ = between(first, last, (0.25, 0.5, 0.75))
    assert frames.shape == (3, *size, 3)
    assert frames.dtype == np.uint8
    assert np.array_equal(first, before[0])
    assert np.array_equal(last, before[1])


def test_no_times_no_frames_and_no_warning():
    frames, warnings = between(texture(40, 50), texture(40, 50, 1), ())
    assert frames.shape == (0, 40, 50, 3)
    assert not warnings


def test_the_ends_are_the_images_themselves():
    first, last = figure(180), figure(220)
    frames, _ = between(first, last, (0.0, 0.5, 1.0))
    assert np.array_equal(frames[0], first)
    assert np.array_equal(frames[2], last)


def test_the_same_bytes_every_time_and_for_every_seed_and_set_of_times():
    first, last = texture(90, 120), np.roll(texture(90, 120), 6, 1)
    a, _ = between(first, last, (0.3, 0.6))
    b = Flow(FlowOptions(), Recorder())(first, last, [0.6], prompt="a cat", seed=7)
    assert np.array_equal(a[1:], b)
    assert np.array_equal(a, between(first, last, (0.3, 0.6))[0])


def test_equal_images_stay_exactly_as_they_are():
    image = texture(120, 160)
    frames, warnings = between(image, image, (0.2, 0.5, 0.9))
    assert all(np.array_equal(frame, image) for frame in frames)
    assert not warnings


@pytest.mark.parametrize("time", [0.25, 0.5, 0.75])
def test_a_square_is_where_it_should_be_and_stays_sharp(time):
    def square(x):
        image = np.full((160, 240, 3), (230, 220, 200), np.uint8)
        image[60:100, x : x + 40] = (40, 60, 160)
        return image

    frames, warnings = between(square(60), square(100), (time,))
    assert not warnings
    dark = frames[0][80, :, 0] < 135
    where = np.flatnonzero(dark)
    assert abs(where[0] - (60 + 40 * time)) <= 1
    assert abs(where[-1] + 1 - (100 + 40 * time)) <= 1
    ramp = np.count_nonzero(np.abs(frames[0][80, :, 0].astype(int) - 135) < 80)
    assert ramp <= 6  # three pixels of transition an edge: no ghost, no blur


def test_a_pan_with_new_content_at_the_border_is_followed():
    world = texture(200, 400)
    first, truth, last = (world[:, x : x + 300] for x in (0, 24, 48))
    frames, warnings = between(np.ascontiguousarray(first), np.ascontiguousarray(last))
    assert not warnings
    inner, left, right = np.s_[:, 40:-40], np.s_[:, :24], np.s_[:, -24:]
    assert psnr(frames[0][inner].copy(), truth[inner].copy()) > 45
    for strip in (left, right):  # seen in one of the two images only
        ghost = ((first[strip].astype(np.uint16) + last[strip] + 1) // 2).astype(np.uint8)
        assert psnr(frames[0][strip].copy(), truth[strip].copy()) > psnr(ghost, truth[strip].copy()) + 6


def test_what_a_moving_thing_uncovers_comes_from_the_image_that_shows_it():
    world, patch = texture(200, 300, sigma=8) // 3 + 90, np.full((60, 60, 3), (250, 40, 40), np.uint8)
    patch[10:50:8] = (40, 20, 20)

    def scene(x):
        image = world.copy()
        image[70:130, x : x + 60] = patch
        return image

    frames, warnings = between(scene(80), scene(120))
    assert not warnings
    truth = scene(100)
    ghost = ((scene(80).astype(np.uint16) + scene(120) + 1) // 2).astype(np.uint8)
    assert psnr(frames[0], truth) > psnr(ghost, truth) + 8
    for x in (80, 160):  # the strips that one image hides and the other shows
        strip = np.s_[75:125, x + 3 : x + 17]
        difference = np.abs(frames[0][strip].astype(int) - truth[strip]).mean()
        assert difference < 0.35 * np.abs(ghost[strip].astype(int) - truth[strip]).mean()


@pytest.mark.parametrize("shift", [24, 64, 90])
def test_line_art_is_moved_far_and_stays_sharp(shift):
    first, truth, last = figure(160), figure(160 + shift // 2), figure(160 + shift)
    frames, warnings = between(first, last)
    assert not warnings
    assert psnr(frames[0], truth) > 35
    assert LineChamfer().frame(frames[0], truth)["line-chamfer"] < 2e-6
    energy = [cv2.Laplacian(luma(image), cv2.CV_32F).var() for image in (frames[0], first)]
    assert energy[0] > 0.9 * energy[1]


def test_half_pixel_motion_keeps_lines_sharp():
    first, last = figure(160), figure(161)
    frames, _ = between(first, last)
    gradient = [np.abs(np.diff(luma(image), axis=1)).sum() for image in (frames[0], first)]
    assert gradient[0] > 0.9 * gradient[1]


def test_the_distance_to_lines_is_what_finds_far_motion():
    first, truth, last = figure(160), figure(200), figure(240)
    blind, _ = between(first, last, lines=0.0, least_found=0.0)
    seeing, _ = between(first, last)
    assert psnr(seeing[0], truth) > psnr(blind[0], truth) + 10


def test_unrelated_images_dissolve_and_say_so():
    first, last = texture(120, 160), np.ascontiguousarray(255 - texture(120, 160, 5)[::-1])
    frames, warnings = between(first, last, (0.25, 0.5))
    assert len(warnings) == 1
    assert "dissolve" in warnings[0]
    assert "%" in warnings[0]
    for frame, time in zip(frames, (0.25, 0.5), strict=True):
        expected = first * (1 - time) + last * time
        assert np.abs(frame - expected).max() <= 1


def test_a_balloon_that_appears_is_dissolved_while_the_rest_moves():
    world = texture(240, 400)
    first = np.ascontiguousarray(world[:, :320])
    last = np.ascontiguousarray(world[:, 16:336])
    cv2.ellipse(last, (240, 70), (60, 45), 0, 0, 360, (255, 255, 255), -1)
    frames, warnings = between(first, last)
    assert not warnings
    assert psnr(np.ascontiguousarray(frames[0][140:]), np.ascontiguousarray(world[140:, 8:328])) > 36
    inside = frames[0][50:90, 215:265].astype(float)
    half = (world[50:90, 8 + 215 : 8 + 265].astype(float) + 255) / 2
    assert np.abs(inside - half).mean() < 20  # carried along or left in place, half there either way


def test_the_clip_goes_steadily_from_the_first_image_to_the_last():
    first, last = figure(160), figure(220)
    cv2.circle(last, (60, 60), 30, (200, 30, 30), -1)  # something that appears
    times = [index / 24 for index in range(1, 24)]
    clip = [first, *between(first, last, times)[0], last]
    steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(clip)]
    assert max(steps) < 4 * np.median(steps)  # nothing pops in, least of all at the ends
    lines = [line_map(luma(image)).sum() for image in clip]
    assert max(lines) < 1.35 * max(lines[0], lines[-1])  # and lines do not double on the way


@pytest.mark.data
def test_flow_beats_the_dissolve_on_drawn_frames(real_data):
    folder = real_data / "clips" / "synfig_eye_look"
    names = sorted(folder.glob("*.png"))
    gains = []
    for index in (3, 6, 18):
        first, truth, last = (cv2.imread(str(name))[..., ::-1].copy() for name in names[index : index + 3])
        frames, _ = between(first, last)
        ghost = ((first.astype(np.uint16) + last + 1) // 2).astype(np.uint8)
        gains.append(psnr(frames[0], truth) - psnr(ghost, truth))
    assert min(gains) > 3


def test_one_stage_draws_pair_after_pair():
    one, two = (texture(60, 80), texture(60, 80, 5)), (texture(60, 80, 9), texture(60, 80, 13))
    alone = [between(*pair, (0.25, 0.75))[0] for pair in (one, two)]

    stage = Flow(FlowOptions(), Recorder())
    for pair, expected in ((one, alone[0]), (two, alone[1]), (one, alone[0]), (one, alone[0])):
        np.testing.assert_array_equal(stage(*pair, (0.25, 0.75)), expected)
    np.testing.assert_array_equal(
        stage(one[0], two[1], (0.5,)), between(one[0], two[1])[0]
    )  # only one of the two changes


def ring(x, height=180, width=320):
    """A coloured ring on nothing, (height, width, 4) uint8, premultiplied."""
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (x, height // 2), 40, 255, 14, cv2.LINE_AA)
    colours = texture(height, width, 3, 6.0)
    shifted = np.roll(colours, x, axis=1)
    return np.dstack([(shifted * (alpha[..., None] / 255)).round().astype(np.uint8), alpha])


def test_alpha_goes_with_the_colours():
    first, truth, last = ring(120), ring(140), ring(160)
    frames, warnings = between(first, last)
    assert frames.shape == (1, 180, 320, 4)
    assert not warnings
    apart = np.abs(frames[0, ..., 3].astype(int) - truth[..., 3])
    assert apart.mean() < 0.15 * np.abs(first[..., 3].astype(int) - truth[..., 3]).mean()
    assert (
        psnr(frames[0, ..., :3], truth[..., :3])
        > psnr(cv2.addWeighted(first, 0.5, last, 0.5, 0)[..., :3], truth[..., :3]) + 6
    )


def test_the_motion_of_an_opaque_picture_is_that_of_its_colours():
    first, last = texture(120, 160), np.roll(texture(120, 160), 5, axis=1)
    solid = np.full((120, 160, 1), 255, np.uint8)
    plain, _ = between(first, last, (0.25, 0.5))
    opaque, _ = between(np.dstack([first, solid]), np.dstack([last, solid]), (0.25, 0.5))
    assert (opaque[..., 3] == 255).all()
    apart = np.abs(opaque[..., :3].astype(int) - plain)
    assert apart[:, 8:-8, 8:-8].max() <= 1
    assert apart.max() <= 12  # at the rim, where neither picture is sure
