"""Parts of the networks against what they are by definition, at sizes that no golden case has."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from animegen_eisai.features import Features, seen_size
from animegen_eisai.half_warp import Side, half_warp, mean_base, opened
from animegen_eisai.layers import fuse, logit
from animegen_eisai.lines import distances, distances_by_torch, nedt
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.strips import in_strips
from animegen_eisai.synthesis import SoftsplatLite
from animegen_testing import seeded_weights


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 1), (33, 70), (70, 33)])
def test_distances_by_definition(size: tuple[int, int], share: float) -> None:
    H, W = size
    random = np.random.default_rng(H + W)
    lines = np.stack([random.random((1, H, W)) < part for part in (share, share / 2)])
    found = [distances(torch.from_numpy(lines)).numpy(), distances_by_torch(torch.from_numpy(lines)).numpy()]
    y, x = np.mgrid[:H, :W]
    for n, one in enumerate(lines[:, 0]):
        at = np.argwhere(one)
        wanted = np.full((H, W), math.hypot(H, W))
        if len(at):
            wanted = np.hypot(y[..., None] - at[:, 0], x[..., None] - at[:, 1]).min(2)
        for by in found:
            assert np.abs(by[n, 0] - wanted).max() < 1e-4


def test_one_line_far_away_is_found_at_any_distance() -> None:
    lines = torch.zeros(1, 1, 5, 500, dtype=torch.bool)
    lines[..., 2, 499] = True
    assert torch.allclose(distances_by_torch(lines), distances(lines), atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_distances_on_a_gpu() -> None:
    lines = torch.rand(2, 1, 77, 130) > 0.999
    lines[1] = False
    assert (distances(lines.cuda()).cpu() - distances(lines)).abs().max() < 1e-4


def test_autocast_does_not_touch_lines() -> None:
    image = torch.rand(1, 3, 120, 90)
    with torch.autocast("cpu", torch.bfloat16):
        inside = nedt(image, 1.0)
    assert torch.equal(inside, nedt(image, 1.0))


@pytest.mark.parametrize("height", [64, 98, 99, 540, 700])
def test_features_of_every_shape_double_from_level_to_level(height: int) -> None:
    for width in {height, height + 1, height * 3 // 2, height * 16 // 9, 5 * height, height + 37}:
        h, w = seen_size(height, width)
        for side in (h, w):
            fine, middle, coarse = -(-side // 2), -(-side // 4), -(-side // 8)
            assert fine == 2 * middle == 4 * coarse
        assert seen_size(width, height) == (w, h)
        assert 0 <= w - int(256 * width / height) < 8


def test_features_see_the_original_at_its_size() -> None:
    assert seen_size(540, 960) == (256, 455)
    with torch.inference_mode():
        levels = Features().eval()(torch.zeros(1, 3, 540, 960))
    assert [tuple(level.shape[1:]) for level in levels] == [(64, 128, 228), (256, 64, 114), (512, 32, 57)]


def sides(channels: int = 4) -> tuple[Side, Side]:
    torch.manual_seed(3)
    make = [(torch.rand(2, channels, 30, 40), 6 * torch.randn(2, 2, 30, 40), -torch.rand(2, 1, 30, 40)) for _ in "ab"]
    return Side(*make[0]), Side(*make[1])


@pytest.mark.parametrize("time", [0.1, 0.5, 0.75])
def test_the_mean_of_the_bases(time: float) -> None:
    first, last = sides()
    warp = half_warp(first, last, time)
    assert (mean_base(first, last, time) - sum(warp.bases) / 2).abs().max() < 1e-6


def test_a_pair_seen_backwards_is_the_same_frame() -> None:
    first, last = sides()
    there, back = half_warp(first, last, 0.3), half_warp(last, first, 0.7)
    assert torch.equal(there.bases[0], back.bases[1]) and torch.equal(there.masks[1], back.masks[0])


def test_holes_are_filled_from_the_other_frame() -> None:
    first, last = sides(1)
    first = Side(torch.zeros_like(first.values), torch.full_like(first.flow, 20), first.metric)
    last = Side(torch.ones_like(last.values), torch.zeros_like(last.flow), last.metric)
    warp = half_warp(first, last, 0.5)
    assert (warp.bases[0][..., :10, :] == 1).all() and (warp.bases[0][..., 12:, 12:] == 0).all()
    assert (warp.masks[0][..., :10, :] == 0).all() and (warp.masks[1] == 1).all()


def test_opening_drops_what_the_box_does_not_fit_into_and_spares_the_border() -> None:
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 3:8, 3:8] = 1
    mask[..., 0:3, 12:17] = 1  # outside counts as covered
    mask[..., 14, 10] = 1
    wanted = mask.clone()
    wanted[..., 14, 10] = 0
    assert torch.equal(opened(mask), wanted)


@pytest.mark.parametrize("rows", [7, 20, 64])
def test_strips_give_what_the_whole_gives(rows: int) -> None:
    network = DistanceTransformModule().eval()
    seeded_weights.fill(network)
    parts = torch.rand(1, 3, 61, 20), torch.rand(1, 1, 61, 20), torch.rand(1, 1, 61, 20)
    with torch.inference_mode():
        whole = network._net_tail(torch.cat(parts, 1))
        assert (in_strips(network._net_tail, parts, halo=4, rows=rows) - whole).abs().max() < 1e-5
    assert in_strips(network._net_tail, parts, halo=4, rows=rows).requires_grad


def test_the_halo_of_the_synthesiser_is_as_far_as_it_looks() -> None:
    network = SoftsplatLite().eval()
    seeded_weights.fill(network)
    x = torch.rand(1, 51, 60, 8)
    with torch.inference_mode():
        whole = network.synthesizer.net(x)
        assert (in_strips(network.synthesizer.net, (x,), halo=9, rows=11) - whole).abs().max() < 1e-5
        assert (in_strips(network.synthesizer.net, (x,), halo=8, rows=11) - whole).abs().max() > 1e-5


def test_fusing_changes_no_more_than_rounding() -> None:
    torch.manual_seed(0)
    images, flow = torch.rand(2, 1, 3, 96, 128), 4 * torch.randn(2, 1, 2, 96, 128)
    network = SoftsplatLite().eval().requires_grad_(False)
    seeded_weights.fill(network)
    before = network(*images, *flow, 0.4).image
    count = sum(isinstance(one, torch.nn.BatchNorm2d) for one in network.modules())
    fuse(network)
    assert count > 20 and not any(isinstance(one, torch.nn.BatchNorm2d) for one in network.modules())
    assert (network(*images, *flow, 0.4).image - before).abs().max() < 1e-4


def test_portrait_is_drawn_too() -> None:
    network = SoftsplatLite().eval().requires_grad_(False)
    images, flow = torch.rand(2, 1, 3, 130, 72), torch.zeros(2, 1, 2, 130, 72)
    assert network(*images, *flow).image.shape == (1, 3, 130, 72)


def test_gradients_reach_what_is_trained_and_nothing_else() -> None:
    torch.manual_seed(0)
    synthesis, refinement = SoftsplatLite(), DistanceTransformModule()
    drawn = synthesis(*torch.rand(2, 2, 3, 64, 64), *torch.randn(2, 2, 2, 64, 64))
    image, wanted = refinement(drawn.image, drawn.warp)
    image.mean().backward(retain_graph=True)
    assert all(one.grad is None for one in refinement.net_nedt.parameters())  # the prediction is detached
    wanted.mean().backward()
    for name, one in (*synthesis.named_parameters(), *refinement.named_parameters()):
        assert one.grad is not None, name


def test_logit_brings_black_and_white_a_finite_way() -> None:
    ends = logit(torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(ends, torch.tensor([-math.log(254), 0.0, math.log(254)]), atol=1e-4)
