"""Forward splatting against the originals, a loop and finite differences."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen_torch import splatting
from animegen_torch.splatting import MANY, Mode, scatter, splat, splat_sum, splat_weighted

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file}


def naive(values: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    N, _, H, W = values.shape
    result = torch.zeros_like(values)
    for n, y, x in np.ndindex(N, H, W):
        at_x, at_y = x + float(flow[n, 0, y, x]), y + float(flow[n, 1, y, x])
        left, top = int(np.floor(at_x)), int(np.floor(at_y))
        for dy, dx in np.ndindex(2, 2):
            if 0 <= top + dy < H and 0 <= left + dx < W:
                weight = (1 - abs(at_x - left - dx)) * (1 - abs(at_y - top - dy))
                result[n, :, top + dy, left + dx] += weight * values[n, :, y, x]
    return result


@pytest.mark.parametrize("mode", ["summation", "average", "linear", "softmax"])
def test_the_same_as_eisai(mode: Mode) -> None:
    g = golden("softsplat_eisai.npz")
    metric = {"linear": g["metric"].exp(), "softmax": g["metric"]}.get(mode)
    assert (splat(g["input"], g["flow"], mode=mode, metric=metric) - g[f"out_{mode}"]).abs().max() < 1e-5


def test_the_coverage_of_eisai_and_its_gradients() -> None:
    g = golden("softsplat_eisai.npz")
    covered = torch.cat((g["input"], torch.ones_like(g["metric"])), 1)
    result = splat(covered, g["flow"], mode="softmax", metric=g["metric"])
    assert (result - g["wrapper_softmax_mask"]).abs().max() < 1e-5
    values, flow = g["input"].requires_grad_(), g["flow"].requires_grad_()
    splat(values, flow).backward(g["grad_out"])
    assert (values.grad - g["grad_input"]).abs().max() < 1e-4
    assert (flow.grad - g["grad_flow"]).abs().max() < 1e-4


def test_the_same_as_animeinterp() -> None:
    g = golden("softsplat_animeinterp.npz")
    assert (splat(g["input"], g["flow"]) - g["summation"]).abs().max() < 1e-5
    assert (splat(g["input"], g["flow"], mode="average", eps=1e-7) - g["average"]).abs().max() < 1e-5
    _, weight = splat_weighted(g["input"], g["flow"], torch.ones_like(g["input"][:, :1]))
    assert (weight - g["no_cupy_norm"]).abs().max() < 1e-5


@pytest.mark.parametrize("function", [splat_sum, scatter])
@pytest.mark.parametrize("shape", [(2, 3, 9, 13), (1, 1, 1, 1), (1, 5, 1, 8), (3, 2, 8, 16), (1, 4, 17, 2)])
def test_equal_to_a_loop(function: object, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values, flow = torch.rand(shape), torch.randn(shape[0], 2, *shape[2:]) * 4
    assert (function(values, flow) - naive(values, flow)).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(40, 1000), (64, 1024), (33, 1919)])
def test_whole_pixels_leave_no_trace_beside(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values, flow = torch.rand(1, 2, *size), torch.randint(-9, 10, (1, 2, *size)).float()
    _, weight = splat_weighted(values, flow, torch.ones_like(values[:, :1]))
    assert torch.equal(weight, weight.round())
    assert (weight == 0).any()
    assert torch.equal(splat(values, torch.zeros_like(flow)), values)


def test_holes_stay_empty_and_lone_pixels_whole() -> None:
    values = torch.full((1, 1, 1, 8), 0.5)
    flow = torch.zeros(1, 2, 1, 8)
    flow[0, 0, 0, 4:] = 2
    result = splat(values, flow, mode="average")
    assert result.flatten().tolist() == [0.5, 0.5, 0.5, 0.5, 0, 0, 0.5, 0.5]


def test_positions_count_to_their_last_bit_where_asked() -> None:
    """A pixel that covers its neighbour by a hair: even that share is not rounded off."""
    values = torch.arange(1.0, 1001.0)[None, None, None].repeat(1, 1, 2, 1)
    flow = torch.zeros(1, 2, 2, 1000)
    flow[:, 0, 0, 3] = 2**-21  # to the right by a hair: 3 + 2^-21 is a float32
    total, weight = splat_weighted(values, flow, torch.ones_like(values), exact=True)
    assert weight[0, 0, 0, 4] == 1 + 2**-21 and weight[0, 0, 0, 3] == 1 - 2**-21
    assert total[0, 0, 0, 4] == 5 + 4 * 2**-21


@pytest.mark.parametrize("pictures", [1, 2])
def test_many_channels_are_few_channels_at_once(pictures: int) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(pictures, MANY + 3, 9, 13, generator=generator, dtype=torch.float64, requires_grad=True)
    flow = 4 * torch.randn(pictures, 2, 9, 13, generator=generator, dtype=torch.float64)
    many, few = scatter(values, flow), torch.cat([scatter(part, flow) for part in values.split(4, 1)], 1)
    assert torch.equal(many, few)
    weights = torch.randn(many.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((result * weights).sum(), values)[0] for result in (many, few)]
    assert torch.allclose(*gradients, rtol=0, atol=1e-12)


def test_the_nearer_pixel_wins() -> None:
    values = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    flow = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).view(1, 2, 1, 2)
    metric = torch.tensor([20.0, 0.0]).view(1, 1, 1, 2)
    assert splat(values, flow, mode="softmax", metric=metric)[0, 0, 0, 1] < 1e-6
    assert splat(values, flow, mode="softmax", metric=-metric)[0, 0, 0, 1] > 1 - 1e-6
    assert splat(values, flow, mode="average")[0, 0, 0, 1] == 0.5


def test_wild_vectors_are_dropped() -> None:
    values, flow = torch.rand(1, 2, 6, 6), torch.zeros(1, 2, 6, 6)
    flow[0, 0, 0, 0], flow[0, 1, 1, 1], flow[0, 0, 2, 2] = float("nan"), float("inf"), -1e30
    for function in (splat_sum, scatter):
        result = function(values, flow)
        assert result.isfinite().all()
        assert [bool((result[0, :, i, i] == 0).all()) for i in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_adds_up_in_float32(dtype: torch.dtype) -> None:
    values = torch.full((1, 1, 1, 4096), 1.0, dtype=dtype)
    flow = -torch.arange(4096.0).view(1, 1, 1, -1)
    flow = torch.cat((flow, torch.zeros_like(flow)), 1)
    result = splat(values, flow)
    assert result.dtype == dtype
    assert result[0, 0, 0, 0] == 4096, "in half precision the sum stops at 2048 or 256"


def test_gradients() -> None:
    torch.manual_seed(0)
    values = torch.rand(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    flow = (torch.randn(2, 2, 5, 6, dtype=torch.float64) * 2).requires_grad_()
    metric = torch.randn(2, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(splat_sum, (values, flow))
    for mode in ("average", "linear", "softmax"):
        weight = (metric.exp() if mode == "linear" else metric).detach().requires_grad_() if mode != "average" else None
        given = (values, flow) if weight is None else (values, flow, weight)
        assert torch.autograd.gradcheck(
            lambda v, f, m=None, mode=mode: splat(v, f, mode=mode, metric=m), given, fast_mode=True
        )


def test_equal_input_gives_equal_bits_on_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    values, flow = torch.rand(1, 4, 60, 90), torch.randn(1, 2, 60, 90) * 20
    results = []
    for threads in (1, 2, 4, 1):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert splatting._groups(4, 1, values.device) == threads
        results.append(splat(values, flow))
    assert all(torch.equal(result, results[0]) for result in results)


def test_what_does_not_belong_together_is_told() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        splat(torch.rand(1, 3, 4, 4), torch.zeros(1, 2, 4, 5))
    with pytest.raises(ValueError, match="softmax needs a metric"):
        splat(torch.rand(1, 3, 4, 4), torch.zeros(1, 2, 4, 4), mode="softmax")
    with pytest.raises(ValueError, match="average takes no metric"):
        splat(torch.rand(1, 3, 4, 4), torch.zeros(1, 2, 4, 4), mode="average", metric=torch.ones(1, 1, 4, 4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same() -> None:
    values, flow = torch.rand(1, 3, 64, 90), torch.randn(1, 2, 64, 90) * 5
    assert (splat(values.cuda(), flow.cuda()).cpu() - splat(values, flow)).abs().max() < 1e-4
