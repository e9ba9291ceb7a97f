"""Flat filling of balloons on paper."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animegen.builtin.flat import Flat
from animegen.builtin.flat_membrane import membrane
from animegen.builtin.plugin import FlatOptions


class Recorder:
    def __init__(self):
        self.said = []

    def warn(self, message):
        self.said.append(message)


def fill(image, mask, context=None, **options):
    return Flat(FlatOptions(**options), context or Recorder())(image, mask)


def balloon(shape, centre, axes):
    mask = np.zeros(shape[:2], np.uint8)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    return mask.astype(bool)


def paper(level=255, height=120, width=160, noise=0.0):
    image = np.full((height, width, 3), level, np.float64)
    image += np.random.default_rng(1).normal(0, noise, (height, width, 1)) if noise else 0
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def test_flat_paper_is_filled_exactly_flat_in_spite_of_scan_noise():
    image = paper(236, noise=2)
    mask = balloon(image.shape, (80, 60), (40, 30))
    context = Recorder()
    out = fill(image, mask, context)
    assert len(np.unique(out[mask])) == 1
    assert abs(int(out[mask][0, 0]) - 236) <= 1
    assert np.array_equal(out[~mask], image[~mask])
    assert context.said == []


def test_strokes_across_the_ring_do_not_tint_the_paper():
    image = paper(255)
    for x in (20, 60, 110):
        cv2.line(image, (x, 0), (x + 20, 119), (0, 0, 0), 2)
    mask = balloon(image.shape, (80, 60), (40, 30))
    out = fill(image, mask)
    assert (out[mask] == 255).all()


def test_colour_and_each_hole_on_its_own():
    image = paper()
    image[:, :80] = (90, 140, 200)
    image[:, 80:] = (240, 230, 120)
    left, right = balloon(image.shape, (36, 60), (24, 20)), balloon(image.shape, (124, 60), (24, 20))
    out = fill(image, left | right)
    assert (out[left] == (90, 140, 200)).all()
    assert (out[right] == (240, 230, 120)).all()


def test_smooth_slope_is_continued():
    rows, columns = np.mgrid[:120, :160]
    image = np.stack([60 + columns, 200 - rows, 100 + rows / 2], axis=2).astype(np.uint8)
    mask = balloon(image.shape, (80, 60), (40, 30))
    spoilt = image.copy()
    spoilt[mask] = 255
    context = Recorder()
    out = fill(spoilt, mask, context)
    assert np.abs(out.astype(int) - image).max() <= 2
    assert context.said == []


def test_drawing_falls_back_and_says_so_once():
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    mask = balloon(image.shape, (40, 60), (20, 20)) | balloon(image.shape, (110, 60), (20, 20))
    for otherwise in ("membrane", "telea", "pieces"):
        context = Recorder()
        out = fill(image, mask, context, otherwise=otherwise)
        assert np.array_equal(out[~mask], image[~mask])
        assert len(context.said) == 1
        assert "2 of 2" in context.said[0]
        assert ("membrane" if otherwise == "pieces" else otherwise) in context.said[0]  # noise has no tones


def test_membrane_has_no_streaks_where_strokes_end():
    """Half dark, half light, with strokes running into the hole: no ink may be dragged in."""
    image = paper(230)
    image[:, :80] = 130
    for y in range(10, 120, 25):
        cv2.line(image, (0, y), (159, y + 6), (0, 0, 0), 2)
    mask = balloon(image.shape, (80, 60), (30, 25))
    out = fill(image, mask)
    assert out[mask].min() >= 105
    assert out[mask].max() <= 240
    assert fill(image, mask, otherwise="telea")[mask].min() < 60  # which is why it is not the default


@pytest.mark.parametrize(("dark", "light"), [((0, 0, 0), (255, 255, 255)), ((40, 90, 160), (230, 120, 90))])
@pytest.mark.parametrize("lean", [0, 40])
def test_two_tones_meet_in_a_clean_edge_that_goes_on_straight(dark, light, lean):
    truth = np.full((160, 200, 3), light, np.uint8)
    edge = np.array([(0, 0), (90 - lean, 0), (90 + lean, 159), (0, 159)])
    cv2.fillPoly(truth, [edge], dark)
    mask = balloon(truth.shape, (95, 80), (50, 45))
    context = Recorder()
    out = fill(np.where(mask[..., None], np.uint8(128), truth), mask, context)
    assert np.array_equal(out[~mask], truth[~mask])
    assert "1 with pieces" in context.said[0]
    wrong = np.abs(out.astype(int) - truth)[mask].max(axis=1) > 40
    assert wrong.mean() < 0.06
    either = (np.abs(out[mask].astype(int) - dark).max(1) <= 2) | (np.abs(out[mask].astype(int) - light).max(1) <= 2)
    assert either.mean() > 0.95  # no smudge: all but an anti-aliased edge
    smooth = fill(np.where(mask[..., None], np.uint8(128), truth), mask, otherwise="membrane")
    assert (np.abs(smooth.astype(int) - truth)[mask].max(axis=1) > 40).mean() > 0.2


def test_soft_rim_keeps_the_membrane():
    columns = np.broadcast_to(np.arange(200), (160, 200))
    level = 128 + 110 * np.sin(columns / 32)
    image = np.repeat(level[..., None], 3, axis=2).astype(np.uint8)
    mask = balloon(image.shape, (100, 80), (70, 45))
    context = Recorder()
    out = fill(image, mask, context)
    assert "1 with a membrane" in context.said[0]
    assert np.array_equal(out, fill(image, mask, otherwise="membrane"))


def test_grey_stays_grey_and_odd_sizes_hold():
    rng = np.random.default_rng(5)
    for height, width in ((1, 9), (9, 1), (2, 40), (31, 3), (45, 77), (160, 90)):
        grey = np.where(np.arange(width) < width // 2, 20, 235) + rng.integers(0, 15, (height, width))
        image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
        mask = balloon(image.shape, (width // 2, height // 2), (max(1, width // 3), max(1, height // 3)))
        out = fill(image, mask)
        assert (out == out[..., :1]).all()
        assert np.array_equal(out[~mask], image[~mask])


def test_membrane_solves_laplace():
    rows, columns = np.mgrid[:60, :80]
    image = np.repeat((40 + 2 * columns + rows)[..., None], 3, axis=2).astype(np.uint8)  # harmonic
    mask = balloon(image.shape, (40, 30), (22, 18))
    spoilt = image.copy()
    spoilt[mask] = 0
    out = membrane(spoilt, mask, ~mask)
    assert np.abs(out.astype(int) - image)[mask].max() <= 6


def test_hole_at_the_edge_of_the_picture():
    image = paper(200)
    mask = balloon(image.shape, (0, 0), (40, 30))
    assert (fill(image, mask)[mask] == 200).all()


def test_thin_gap_between_holes_and_a_gap_too_busy():
    image = paper(180)
    mask = np.zeros(image.shape[:2], bool)
    mask[20:100, 20:79] = mask[20:100, 80:140] = True
    assert (fill(image, mask)[mask] == 180).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (37, 53, 3)])
def test_empty_and_full_masks(shape):
    image = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    out = fill(image, np.zeros(shape[:2], bool))
    assert np.array_equal(out, image)
    assert out is not image
    context = Recorder()
    assert (fill(image, np.ones(shape[:2], bool), context) == 255).all()
    assert len(context.said) == 1


def test_contract():
    image = np.random.default_rng(4).integers(0, 256, (37, 53, 3), np.uint8)
    mask = balloon(image.shape, (20, 20), (15, 10))
    kept, kept_mask = image.copy(), mask.copy()
    first, second = fill(image, mask), fill(image, mask)
    assert first.tobytes() == second.tobytes()
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert np.array_equal(image, kept)
    assert np.array_equal(mask, kept_mask)


@pytest.mark.data
def test_real_balloons_leave_the_rest_alone(real_data):
    pages = real_data / "pages"
    page = cv2.imread(str(pages / "images/ToriNoMe/001.jpg"))[:1400, :, ::-1].copy()
    mask = cv2.imread(str(pages / "masks/ToriNoMe/001.png"), cv2.IMREAD_GRAYSCALE)[:1400] > 127
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    out = fill(page, mask)
    assert np.array_equal(out[~mask], page[~mask])
    count, holes = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    white = sum(bool((out[holes == number] >= 250).all()) for number in range(1, count))
    assert white >= 5  # this manga's balloons lie mostly on white
