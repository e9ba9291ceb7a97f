"""Backward warping against the originals of four networks, and in pieces."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen_torch import warp as module
from animegen_torch.warp import coordinates, forget_coordinates, sample, sampling_grid, warp, warp_into

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file}


@pytest.mark.parametrize("case", ["a", "b"])
@pytest.mark.parametrize(("name", "convention"), [("warp_rife.npz", "corners"), ("warp_film.npz", "centres")])
def test_the_same_as_the_original(name: str, convention: module.Convention, case: str) -> None:
    g = golden(name)
    result = warp(g[f"img_{case}"], g[f"flow_{case}"], convention=convention)
    assert (result - g[f"out_{case}"]).abs().max() <= 1e-6


def test_eisai_keeps_its_half_pixel() -> None:
    g = golden("warp_eisai.npz")
    image = g["img0_u8"].permute(2, 0, 1)[None] / 255
    flow = g["flow0"].flip(1)  # stored as (y, x)
    assert (warp(image, flow, convention="mixed") - g["backwarp0"]).abs().max() <= 1e-6
    still = warp(image, torch.zeros_like(flow), convention="mixed")
    assert (still - g["backwarp0_zero_flow"]).abs().max() <= 1e-6
    assert (still - image).abs().max() > 0.01, "zero flow is not the identity there"


def naive(image: torch.Tensor, flow: torch.Tensor, border: str) -> torch.Tensor:
    N, _, H, W = image.shape
    result = torch.zeros_like(image)
    for n, y, x in np.ndindex(N, H, W):
        at_x, at_y = x + float(flow[n, 0, y, x]), y + float(flow[n, 1, y, x])
        if border == "border":
            at_x, at_y = min(max(at_x, 0), W - 1), min(max(at_y, 0), H - 1)
        left, top = int(np.floor(at_x)), int(np.floor(at_y))
        for dy, dx in np.ndindex(2, 2):
            if 0 <= top + dy < H and 0 <= left + dx < W:
                weight = (1 - abs(at_x - left - dx)) * (1 - abs(at_y - top - dy))
                result[n, :, y, x] += weight * image[n, :, top + dy, left + dx]
    return result


@pytest.mark.parametrize("border", ["border", "zeros"])
@pytest.mark.parametrize("convention", ["corners", "centres"])
@pytest.mark.parametrize("size", [(7, 9), (1, 6), (5, 1), (1, 1)])
def test_equal_to_a_loop(size: tuple[int, int], convention: module.Convention, border: module.Border) -> None:
    torch.manual_seed(0)
    image, flow = torch.rand(2, 3, *size), torch.randn(2, 2, *size) * 3
    if convention == "corners" and border == "zeros":  # a side of one pixel has no scale between its corners
        flow[:, 0] *= size[1] > 1
        flow[:, 1] *= size[0] > 1
    result = warp(image, flow, border=border, convention=convention)
    assert (result - naive(image, flow, border)).abs().max() < 1e-5


def test_apple_gpus_get_their_border_by_clamping(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    image, flow = torch.rand(1, 3, 12, 17), torch.randn(1, 2, 12, 17) * 12

    class OnApple(torch.Tensor):
        device = torch.device("mps")  # only asked for its type

    original, fills = module.grid_sample, []

    def spy(image: torch.Tensor, grid: torch.Tensor, **kwargs: object) -> torch.Tensor:
        fills.append(kwargs["padding_mode"])
        return original(image.as_subclass(torch.Tensor), grid.as_subclass(torch.Tensor), **kwargs)

    monkeypatch.setattr(module, "grid_sample", spy)
    for convention in ("corners", "centres"):
        grid = sampling_grid(flow, convention=convention)
        wanted = sample(image, grid, convention=convention)
        result = sample(image, grid.as_subclass(OnApple), convention=convention)
        assert (result - wanted).abs().max() < 1e-5
    assert fills == ["border", "zeros"] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_hits_its_pixel_far_out(dtype: torch.dtype) -> None:
    image = torch.rand(1, 1, 3, 4000).to(dtype)
    flow = torch.zeros(1, 2, 3, 4000, dtype=dtype)
    result = warp(image, flow)
    assert result.dtype == dtype
    assert (result.float() - image.float()).abs().max() < 1e-2
    flow[:, 0] = 1
    assert (warp(image, flow)[..., :-1].float() - image[..., 1:].float()).abs().max() < 1e-2


def test_some_pixels_are_those_of_the_whole() -> None:
    torch.manual_seed(0)
    image, flow = torch.rand(2, 3, 32, 48), torch.randn(2, 2, 32, 48) * 5
    whole = warp(image, flow)
    part = sampling_grid(flow[:, :, 3::8, 4::8], (32, 48), rows=slice(3, None, 8), columns=slice(4, None, 8))
    assert torch.equal(sample(image, part), whole[:, :, 3::8, 4::8])
    rows, columns = torch.tensor([0, 3, 4, 31]), torch.tensor([47, 1])
    some = flow[:, :, rows][..., columns]
    part = sampling_grid(some, (32, 48), rows=rows, columns=columns)
    assert torch.equal(sample(image, part), whole[:, :, rows][..., columns])


def test_sizes_that_differ_are_told() -> None:
    with pytest.raises(ValueError, match="sizes differ"):
        warp(torch.rand(1, 3, 8, 8), torch.zeros(1, 2, 8, 9))
    with pytest.raises(ValueError, match=r"\(N, 2, 4, 8\) is expected"):
        sampling_grid(torch.zeros(1, 2, 8, 8), rows=slice(0, 8, 2))


def test_few_sizes_are_kept_and_training_may_follow_inference() -> None:
    forget_coordinates()
    with torch.inference_mode():
        warp(torch.rand(1, 1, 9, 9), torch.zeros(1, 2, 9, 9))
    for size in range(10, 40):
        first = coordinates(size, 9, device=torch.device("cpu"))
        assert coordinates(size, 9, device=torch.device("cpu")) is first
    assert len(module._cache) == module.KEPT
    with torch.inference_mode():
        warp(torch.rand(1, 1, 9, 9), torch.zeros(1, 2, 9, 9))
    flow = torch.zeros(1, 2, 9, 9, requires_grad=True)
    warp(torch.rand(1, 1, 9, 9), flow).sum().backward()
    assert flow.grad is not None
    forget_coordinates()
    assert not module._cache


def test_gradients() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    flow = (torch.randn(1, 2, 5, 6, dtype=torch.float64) * 2).requires_grad_()
    for convention in ("corners", "centres", "mixed"):
        assert torch.autograd.gradcheck(lambda a, b, c=convention: warp(a, b, convention=c), (image, flow))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same() -> None:
    image, flow = torch.rand(1, 3, 64, 96), torch.randn(1, 2, 64, 96) * 5
    assert (warp(image.cuda(), flow.cuda()).cpu() - warp(image, flow)).abs().max() < 1e-4


@pytest.mark.parametrize("threads", [1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_warping_into_a_tensor_gives_what_warping_gives(threads: int, dtype: torch.dtype) -> None:
    image, flow = torch.rand(1, 5, 12, 9).to(dtype), 6 * torch.randn(1, 2, 12, 9)
    room = torch.full((1, 12, 9, 8), 7.0, dtype=dtype).permute(0, 3, 1, 2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        warp_into(room[:, 1:6], image, flow, convention="centres")
    finally:
        torch.set_num_threads(before)
    assert torch.equal(room[:, 1:6], warp(image, flow, convention="centres"))
    assert bool((room[:, :1] == 7).all() and (room[:, 6:] == 7).all())
    with pytest.raises(ValueError, match="does not fit"):
        warp_into(room, image, flow)


def test_warping_into_a_tensor_can_be_trained_through() -> None:
    image, flow = torch.rand(1, 2, 6, 4, requires_grad=True), torch.rand(1, 2, 6, 4, requires_grad=True)
    room = torch.zeros(1, 2, 6, 4)
    warp_into(room, image, flow)
    room.sum().backward()
    assert image.grad is not None and flow.grad is not None and bool(image.grad.abs().sum() > 0)
