"""Matching: features of regions, partners, and first guesses, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from animegen._cv2 import cv2
from animegen_animeinterp.matching.features import CHANNELS, LAYERS, region_features
from animegen_animeinterp.matching.guidance import guide
from animegen_animeinterp.matching.similarity import Matching, match, similarity
from animegen_animeinterp.regions import Regions
from animegen_testing import seeded_weights
from animegen_torch.vgg19 import Vgg19

Array = np.ndarray[Any, Any]


def patches(
    height: int = 60, width: int = 80, *, move: tuple[int, int] = (0, 0), size: int = 14
) -> tuple[Array, Array]:
    """A textured square on a plain ground, and its labels: 0 the square, 1 the ground."""
    texture = np.random.default_rng(3).integers(60, 250, (size, size, 3)).astype(np.uint8)
    texture = cv2.GaussianBlur(texture, (0, 0), 1.5)
    picture, labels = np.full((height, width, 3), 128, np.uint8), np.ones((height, width), np.int32)
    x, y = 20 + move[0], 18 + move[1]
    picture[y : y + size, x : x + size] = texture
    labels[y : y + size, x : x + size] = 0
    return picture, labels


def each_other(count: int) -> Matching:
    return Matching(np.arange(count), np.zeros(count, np.int64))


def test_features_are_means_over_regions_and_zero_where_a_region_vanished() -> None:
    network = Vgg19(LAYERS).eval().requires_grad_(False)
    seeded_weights.fill(network)
    labels = np.full((32, 48), 2, np.int32)
    labels[8:24, 8:24] = 1
    labels[4, 4] = 0  # every second pixel from the second on: never seen again
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    found = region_features(network, picture, Regions.of(labels))
    assert found.shape == (3, CHANNELS)
    small, expected = torch.from_numpy(labels), []
    for layer in network(picture):
        means = [
            layer[0, :, small == name].mean(1) if (small == name).any() else torch.zeros(len(layer[0]))
            for name in range(3)
        ]
        expected.append(torch.stack(means))
        small = small[1::2, 1::2]
    whole = torch.cat(expected, 1)
    whole -= whole.amin(1, keepdim=True)
    whole /= whole.sum(1, keepdim=True)
    assert np.abs(found - whole.numpy()).max() < 1e-6
    assert found.min() == 0 and np.allclose(found.sum(1), 1)
    assert not np.diff(found[0, 64:]).any()  # zeros all, lifted alike


def test_similarity_is_the_intersection_less_what_differs() -> None:
    one = Regions.of(np.repeat(np.array([[0, 1, 1, 1]], np.int32), 10, 0))
    other = Regions.of(np.repeat(np.array([[1, 1, 1, 0]], np.int32), 10, 0))
    random = np.random.default_rng(0)
    first, second = random.random((2, 2, CHANNELS)).astype(np.float32)
    found = similarity(first, second, one, other)
    for a in range(2):
        for b in range(2):
            score = np.minimum(first[a], second[b]).sum()
            ratio = max(one.areas[a], other.areas[b]) / min(one.areas[a], other.areas[b])
            away = np.hypot(one.x[a] - other.x[b], one.y[a] - other.y[b]) / np.hypot(10, 4)
            score -= (ratio / 20 if ratio > 3 else 0) + (away / 5 if away > 0.14 else 0)
            assert found[a, b] == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 3), (12, 12)])
@pytest.mark.parametrize("levels", [2, 1000])
def test_partners_are_the_lowest_sums_of_ranks(shape: tuple[int, int], levels: int) -> None:
    alike = np.random.default_rng(shape[1]).integers(0, levels, shape).astype(np.float32) / levels
    there, back = match(alike)
    sums = np.zeros(shape, int)
    for a in range(shape[0]):
        for b in range(shape[1]):
            row, column = alike[a], alike[:, b]
            sums[a, b] = (row > alike[a, b]).sum() + (row[:b] == alike[a, b]).sum()
            sums[a, b] += (column > alike[a, b]).sum() + (column[:a] == alike[a, b]).sum()
    assert there.partner.tolist() == sums.argmin(1).tolist() and there.rank.tolist() == sums.min(1).tolist()
    assert back.partner.tolist() == sums.argmin(0).tolist() and back.rank.tolist() == sums.min(0).tolist()


def guess(move: tuple[int, int], matching: Matching | None = None, **sizes: Any) -> tuple[Array, Array]:
    """The first guess for the square, and its labels."""
    (first, labels), (second, others) = patches(**sizes), patches(move=move, **sizes)
    found = guide(first, second, Regions.of(labels), Regions.of(others), matching or each_other(2))
    return found, labels


def test_a_square_is_guided_by_its_motion_and_the_ground_is_not() -> None:
    found, labels = guess((9, -4))
    assert np.abs(found[:, labels == 0] - np.array([[9], [-4]])).max() < 0.1
    assert not found[:, labels == 1].any()


@pytest.mark.parametrize(
    ("move", "matching", "sizes"),
    [
        ((5, 0), Matching(np.arange(2), np.array([1, 0])), {}),  # not each other's best
        ((5, 0), None, {"size": 7}),  # 49 pixels
        ((5, 0), None, {"size": 26}),  # 14 % of the picture
        ((260, 0), None, {"width": 400}),  # too far
    ],
)
def test_what_cannot_be_trusted_is_not_guided(
    move: tuple[int, int], matching: Matching | None, sizes: dict[str, int]
) -> None:
    assert not guess(move, matching, **sizes)[0].any()
    if matching is None and move[0] < 250:
        assert guess(move, size=8)[0].any()  # 64 pixels


def test_a_region_that_does_not_land_on_its_partner_is_not_guided() -> None:
    first, labels = patches()
    second, others = patches()
    others[18:32, 20:34] = 1
    others[18:32:2, 20:48] = 0  # stripes: as many pixels, another shape
    assert np.bincount(others.ravel()).tolist() == [196, 4604]
    assert not guide(first, second, Regions.of(labels), Regions.of(others), each_other(2)).any()


def test_a_dark_region_is_seen() -> None:
    (first, labels), (second, others) = patches(), patches(move=(6, 3))
    for picture, where in ((first, labels), (second, others)):
        picture[where == 0] //= 16
    found = guide(first, second, Regions.of(labels), Regions.of(others), each_other(2))
    assert np.abs(found[:, labels == 0].mean(1) - (6, 3)).max() < 0.2


def test_threads_change_nothing() -> None:
    (first, labels), (second, others) = patches(), patches(move=(6, 3))
    regions = Regions.of(labels), Regions.of(others)
    one, more = (guide(first, second, *regions, each_other(2), threads=threads) for threads in (1, 3))
    assert np.array_equal(one, more)
