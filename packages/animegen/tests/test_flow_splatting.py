"""Splatting, hole filling and resizing of fields."""

from __future__ import annotations

import numpy as np

from animegen.builtin.flow_splatting import fill_holes, pixel_grid, resize_flow, sample, splat


def test_splat_keeps_the_sum_of_what_stays_inside_and_loses_the_rest():
    values = np.zeros((8, 9, 2), np.float32)
    values[4, 4] = (1, 10)
    inside = splat(values, pixel_grid(8, 9) + 1)
    assert np.allclose(inside.sum((0, 1)), (1, 10))
    assert np.unravel_index(inside[..., 0].argmax(), (8, 9)) == (5, 5)
    assert not splat(values, pixel_grid(8, 9) + 20).any()
    assert not splat(values, pixel_grid(8, 9) - 1e9).any()


def test_weighted_splat_of_a_constant_is_that_constant():
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.1, 1, (20, 30)).astype(np.float32)
    at = pixel_grid(20, 30) + rng.normal(0, 2, (20, 30, 2)).astype(np.float32)
    sums = splat(np.dstack([weight * 7, weight]), at)
    reached = sums[..., 1] > 1e-3
    assert np.allclose(sums[reached, 0] / sums[reached, 1], 7, atol=1e-3)


def test_holes_take_the_value_around_them_and_known_places_keep_theirs():
    weight = np.ones((33, 47), np.float32)
    weight[8:25, 10:30] = 0
    values = np.full((33, 47, 2), (3, -4), np.float32)
    filled = fill_holes(values * weight[..., None], weight)
    assert np.allclose(filled, (3, -4), atol=1e-3)
    rng = np.random.default_rng(1)
    some = rng.normal(size=(33, 47, 1)).astype(np.float32)
    assert np.allclose(fill_holes(some * weight[..., None], weight)[weight == 1], some[weight == 1])


def test_nothing_known_gives_zero():
    assert not fill_holes(np.zeros((5, 7, 2), np.float32), np.zeros((5, 7), np.float32)).any()


def test_sampling_at_a_flow_and_resizing_it():
    ramp = np.arange(40, dtype=np.float32)[None].repeat(30, 0)
    moved = sample(ramp, pixel_grid(30, 40) + np.float32((2.5, 0)))
    assert np.allclose(moved[:, :36], ramp[:, :36] + 2.5)
    flow = np.full((10, 20, 2), (4, 6), np.float32)
    assert np.allclose(resize_flow(flow, 20, 30), (6, 12))
    assert resize_flow(flow, 1, 1).shape == (1, 1, 2)
