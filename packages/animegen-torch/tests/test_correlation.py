"""Cost volumes against loops and against RAFT's own figures."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen_torch.correlation import AllPairs, local_correlation

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file}


def test_local_as_the_original() -> None:
    g = golden("correlation_local.npz")
    assert (local_correlation(g["first"], g["second"]) - g["out"]).abs().max() < 1e-6


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_local_as_a_loop(radius: int) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 5, 6, 7), torch.randn(2, 5, 6, 7)
    result = local_correlation(first, second, radius)
    side = 2 * radius + 1
    assert result.shape == (2, side * side, 6, 7)
    for n, channel, y, x in np.ndindex(*result.shape):
        dy, dx = channel // side - radius, channel % side - radius
        inside = 0 <= y + dy < 6 and 0 <= x + dx < 7
        wanted = float((first[n, :, y, x] * second[n, :, y + dy, x + dx]).mean()) if inside else 0.0
        assert abs(float(result[n, channel, y, x]) - wanted) < 1e-5


@pytest.mark.parametrize("limit", [1 << 30, 100_000, 1])
def test_all_pairs_as_raft(limit: int) -> None:
    g = golden("correlation_raft.npz")
    pairs = AllPairs(g["fmap1"], g["fmap2"], limit=limit)
    assert pairs.is_kept == (limit == 1 << 30)
    assert (pairs.lookup(g["coords"]) - g["out"]).abs().max() < 1e-5


def naive_lookup(first: torch.Tensor, second: torch.Tensor, points: torch.Tensor, radius: int) -> torch.Tensor:
    """One level, for a batch of one, by definition."""
    _, C, H, W = first.shape
    side = 2 * radius + 1
    result = torch.zeros(side * side, H, W)
    for y, x, i, j in np.ndindex(H, W, side, side):
        at_x, at_y = float(points[0, 0, y, x]) + i - radius, float(points[0, 1, y, x]) + j - radius
        left, top = int(np.floor(at_x)), int(np.floor(at_y))
        for dy, dx in np.ndindex(2, 2):
            if 0 <= top + dy < H and 0 <= left + dx < W:
                weight = (1 - abs(at_x - left - dx)) * (1 - abs(at_y - top - dy))
                likeness = float((first[0, :, y, x] * second[0, :, top + dy, left + dx]).sum()) / C**0.5
                result[i * side + j, y, x] += weight * likeness
    return result[None]


def test_lookup_as_a_loop_also_far_outside() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(1, 4, 5, 7), torch.randn(1, 4, 5, 7)
    points = torch.stack(torch.meshgrid(torch.arange(7.0), torch.arange(5.0), indexing="xy"))[None]
    points = points + torch.randn(1, 2, 5, 7) * 4
    points[0, :, 0, 0] = torch.tensor([1e9, -1e9])
    pairs = AllPairs(first, second, levels=1, radius=2)
    assert (pairs.lookup(points) - naive_lookup(first, second, points, 2)).abs().max() < 1e-5
    points[0, 0, 1, 1] = float("nan")
    assert pairs.lookup(points).isfinite().all()


def test_batches_and_gradients() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, 4, 6, dtype=torch.float64), torch.randn(2, 3, 4, 6, dtype=torch.float64)
    points = torch.rand(2, 2, 4, 6, dtype=torch.float64) * 4
    both = AllPairs(first, second, levels=2, radius=1).lookup(points)
    for n in range(2):
        one = AllPairs(first[n : n + 1], second[n : n + 1], levels=2, radius=1).lookup(points[n : n + 1])
        assert (one - both[n : n + 1]).abs().max() < 1e-12
    given = tuple(tensor.requires_grad_() for tensor in (first, second, points))
    assert torch.autograd.gradcheck(lambda a, b, p: AllPairs(a, b, levels=2, radius=1).lookup(p), given, fast_mode=True)
    assert torch.autograd.gradcheck(lambda a, b: local_correlation(a, b, 1), given[:2], fast_mode=True)


def test_half_precision_is_summed_in_float32() -> None:
    first = torch.full((1, 1024, 8, 8), 16.0, dtype=torch.float16)
    assert local_correlation(first, first, 0).dtype == torch.float32
    assert float(local_correlation(first, first, 0).max()) == 256
    assert float(AllPairs(first, first).lookup(torch.zeros(1, 2, 8, 8)).max()) == 256 * 32


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        local_correlation(torch.rand(1, 2, 4, 4), torch.rand(1, 2, 4, 5))
    with pytest.raises(ValueError, match="at least 8 pixels"):
        AllPairs(torch.rand(1, 2, 7, 9), torch.rand(1, 2, 7, 9))
    with pytest.raises(ValueError, match="is expected"):
        AllPairs(torch.rand(1, 2, 8, 9), torch.rand(1, 2, 8, 9)).lookup(torch.zeros(1, 2, 9, 8))
