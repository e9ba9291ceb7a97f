"""Tiles: the same as without, and no seam."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen_torch.tiling import ramp, spans, tiled


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 90), st.integers(0, 89))
def test_spans_cover_everything_evenly(size: int, tile: int, overlap: int) -> None:
    if overlap >= tile:
        with pytest.raises(ValueError, match="cannot overlap"):
            spans(size, tile, overlap)
        return
    found = spans(size, tile, overlap)
    assert found[0][0] == 0 and found[-1][1] == size
    assert all(end - start == min(tile, size) for start, end in found)
    assert all(one[1] - other[0] >= overlap for one, other in pairwise(found))
    if len(found) > 1:
        assert (len(found) - 1) * (tile - overlap) + overlap < size, "one tile fewer would not do"


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(9, 40), st.integers(0, 30), st.integers(1, 2), st.booleans())
def test_a_pointwise_function_gives_the_same_bits(
    height: int, width: int, tile: int, overlap: int, scale: int, half: bool
) -> None:
    torch.manual_seed(0)
    first, second = torch.rand(2, 3, height, width), torch.rand(2, 1, height, width)
    if half:
        first, second = first.half(), second.half()

    def function(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return (one * 0.3 + other).repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    result = tiled(function, (first, second), tile, overlap=min(overlap, tile - 1), scale=scale)
    assert torch.equal(result, function(first, second))


def test_a_function_that_looks_around_is_the_same_within_its_reach() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 1, 96, 120)
    kernel = torch.full((1, 1, 9, 9), 1 / 81)

    def blur(part: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(part, kernel, padding=4)

    whole = blur(picture)
    plain, blended = (tiled(blur, [picture], (48, 40), overlap=overlap) for overlap in (0, 24))
    assert (plain - whole).abs().max() > 0.2, "hard seams without overlap"
    assert (blended - whole).abs().max() < 0.03, "where a tile knows least it counts least"


def test_tiles_that_disagree_change_gradually() -> None:
    numbers = iter(range(100))
    picture = torch.zeros(1, 1, 30, 200)
    result = tiled(lambda part: torch.full_like(part, float(next(numbers))), [picture], (30, 60), overlap=20)
    steps = result[0, 0, 0].diff()
    assert steps.min() >= 0 and steps.max() < 0.1
    assert result.min() == 0 and result.max() == next(numbers) - 1


def test_weights_sum_to_one() -> None:
    for length in (1, 2, 7, 64):
        weight = ramp(length)
        assert torch.allclose(weight + weight.flip(0), torch.ones(length), atol=1e-6)
        assert (weight.diff() > 0).all() and weight[0] > 0 and weight[-1] < 1


def test_the_largest_piece_is_one_tile() -> None:
    seen: list[tuple[int, ...]] = []

    def function(part: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(part.shape[2:]))
        return part

    tiled(function, [torch.rand(1, 1, 500, 100)], (64, 128), overlap=(16, 32))
    assert set(seen) == {(64, 100)}, "narrower than a tile: as wide as it is"


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        tiled(torch.add, [torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 9)], 4, overlap=1)
    with pytest.raises(ValueError, match="scale is 2"):
        tiled(torch.neg, [torch.rand(1, 1, 8, 8)], 4, overlap=1, scale=2)
