"""The classic clean-up chain."""

from __future__ import annotations

import inspect

import cv2
import numpy as np
import pytest

from animegen.builtin.lab import Lab
from animegen.builtin.plugin import LabOptions


def colours(height=37, width=53, seed=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def clean(image, **options):
    return Lab(LabOptions(**options), None)(image)


OFF = {"bilateral_diameter": 0, "clahe_clip": 0.0, "unsharp_amount": 0.0}


def test_default_is_the_chain_of_the_brief():
    image = cv2.GaussianBlur(colours(64, 80), (0, 0), 2)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lightness = cv2.bilateralFilter(lab[..., 0].copy(), 7, 75, 75)
    lightness = cv2.createCLAHE(2.0, (8, 8)).apply(lightness)
    soft = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    lab[..., 0] = np.clip(np.rint(1.5 * lightness.astype(float) - 0.5 * soft), 0, 255).astype(np.uint8)
    expected = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(int)
    difference = np.abs(clean(image).astype(int) - expected)
    assert np.percentile(difference, 99) <= 2
    assert np.abs(clean(image).astype(int) - image).mean() > 3


def test_every_step_changes_the_result_and_all_off_is_the_round_trip():
    image = cv2.GaussianBlur(colours(48, 48), (0, 0), 1.5)
    bare = clean(image, **OFF)
    assert np.abs(bare.astype(int) - image).max() <= 6
    results = [bare]
    for name, value in (("bilateral_diameter", 7), ("clahe_clip", 2.0), ("unsharp_amount", 0.5)):
        results.append(clean(image, **{**OFF, name: value}))
    assert len({result.tobytes() for result in results}) == 4


@pytest.mark.parametrize("field", list(inspect.signature(LabOptions).parameters))
def test_every_option_has_an_effect(field):
    image = cv2.GaussianBlur(colours(200, 200), (0, 0), 1.5)
    other = {
        "bilateral_diameter": 3, "bilateral_sigma_color": 10.0, "bilateral_sigma_space": 0.5, "clahe_clip": 1.0,
        "clahe_tiles": 3, "unsharp_amount": 2.0, "unsharp_sigma": 4.0,
    }  # fmt: skip
    assert clean(image, **{field: other[field]}).tobytes() != clean(image).tobytes()


def test_a_and_b_are_not_changed():
    image = cv2.GaussianBlur(colours(64, 64), (0, 0), 4) // 2 + 64  # inside the gamut, so nothing is clipped
    before, after = (cv2.cvtColor(x, cv2.COLOR_RGB2LAB).astype(int) for x in (image, clean(image, clahe_clip=0.0)))
    assert np.abs(before - after)[..., 1:].max() <= 2


def test_grey_stays_grey():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for image in (levels, colours()[..., 0]):
        out = clean(np.ascontiguousarray(image[..., None].repeat(3, axis=2)))
        assert (out == out[..., :1]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (37, 53), (200, 3)])
def test_any_size_same_bytes_again_input_unchanged(shape):
    image = colours(*shape)
    kept = image.copy()
    first, second = clean(image), clean(image)
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert first.tobytes() == second.tobytes()
    assert np.array_equal(image, kept)


def test_keeps_screentone():
    """Documented: this chain does not take tone away."""
    y, x = np.mgrid[:96, :96]
    dots = np.where(np.cos(x * np.pi / 3) + np.cos(y * np.pi / 3) > 0.5, 0, 255).astype(np.uint8)
    image = np.ascontiguousarray(dots[..., None].repeat(3, axis=2))
    assert clean(image).std() > 0.8 * image.std()
