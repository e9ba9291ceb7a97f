"""Inpainting with OpenCV."""

from __future__ import annotations

import numpy as np
import pytest

from animegen.builtin.plugin import TeleaOptions
from animegen.builtin.telea import PAPER, Telea


class Recorder:
    def __init__(self):
        self.said = []

    def warn(self, message):
        self.said.append(message)


def slope(height=37, width=53):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([80 + rows, 60 + columns, 200 - rows], axis=2).astype(np.uint8)


def fill(image, mask, context=None, **options):
    return Telea(TeleaOptions(**options), context or Recorder())(image, mask)


def hole(shape, size=9):
    mask = np.zeros(shape[:2], dtype=bool)
    mask[shape[0] // 2 :, shape[1] // 2 :][:size, :size] = True
    return mask


@pytest.mark.parametrize("method", ["telea", "ns"])
def test_fills_from_the_rim_and_touches_nothing_else(method):
    image = slope()
    mask = hole(image.shape)
    spoilt = image.copy()
    spoilt[mask] = (255, 0, 255)
    kept, kept_mask = spoilt.copy(), mask.copy()
    out = fill(spoilt, mask, method=method)
    assert np.array_equal(out[~mask], image[~mask])
    assert np.abs(out.astype(int) - image)[mask].max() <= 8
    assert np.array_equal(spoilt, kept)
    assert np.array_equal(mask, kept_mask)
    assert out.flags.c_contiguous
    assert out.dtype == np.uint8
    assert out.tobytes() == fill(spoilt, mask, method=method).tobytes()


def test_what_lies_in_the_hole_does_not_matter():
    image, mask = slope(), hole((37, 53))
    other = image.copy()
    other[mask] = 7
    assert np.array_equal(fill(image, mask), fill(other, mask))


def test_methods_and_radius_differ():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    mask = hole(image.shape, 12)
    results = {fill(image, mask, **o).tobytes() for o in ({}, {"method": "ns"}, {"radius": 9.0})}
    assert len(results) == 3


def test_empty_mask_gives_an_equal_image():
    image = slope()
    out = fill(image, np.zeros(image.shape[:2], bool))
    assert np.array_equal(out, image)
    assert out is not image


@pytest.mark.parametrize("shape", [(1, 1, 3), (37, 53, 3)])
def test_everything_masked_is_white_paper_and_said(shape):
    context = Recorder()
    out = fill(np.zeros(shape, np.uint8), np.ones(shape[:2], bool), context)
    assert (out == PAPER).all()
    assert len(context.said) == 1


def test_hole_at_a_corner_and_one_known_pixel():
    image = slope(9, 9)
    corner = np.zeros((9, 9), bool)
    corner[:3, :3] = True
    assert np.abs(fill(image, corner).astype(int) - image).max() <= 12
    only = np.ones((9, 9), bool)
    only[4, 4] = False
    assert np.abs(fill(image, only).astype(int) - image[4, 4]).max() <= 4  # OpenCV 4 rounds as it marches
