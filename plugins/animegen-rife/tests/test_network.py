"""The network's shortcuts against the pass as it is described: everything at full size, one block after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from animegen_rife import convolution
from animegen_rife.architecture import ARCHITECTURES, COLOURS, FLOW, VERSIONS, Architecture
from animegen_rife.motion import resize
from animegen_rife.network import IFNet
from animegen_testing import seeded_weights
from animegen_torch.warp import warp

EXACT = {"atol": 2e-5, "rtol": 0}
ALL = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)


def seeded(architecture: Architecture) -> IFNet:
    network = IFNet(architecture).eval()
    seeded_weights.fill(network, prefix="module.")
    return network


def pictures(height: int, width: int, channels: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two smooth pictures, (1, channels, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, channels, height // 8, width // 8, generator=generator)
    both = interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return both[:1], both[1:]


def between(network: IFNet, images: tuple[Tensor, Tensor], *times: float, **options: Any) -> Tensor:
    first, last = (network.encode(image) for image in images)
    return network(first, last, torch.tensor(times or (0.5,)), **options)


def described(
    network: IFNet, images: tuple[Tensor, Tensor], time: float, scale: float = 1, ensemble: bool = False
) -> Tensor:
    """The pass of the description, without a shortcut: what is found is brought to full size after every block."""
    architecture = network.architecture
    frames = [network.encode(image) for image in images]
    features = [frame.planes[:, : frame.features] for frame in frames]
    clock = torch.full_like(images[0][:, :1], time)

    def block(index: int, pair: list[Tensor], kept: list[Tensor], t: Tensor, mask: Tensor, flow: Tensor) -> Tensor:
        s = architecture.scales[index] / scale
        parts = [
            *(one[:, :COLOURS] for one in pair),
            *(one[:, COLOURS:] for one in pair),
            t,
            *([mask, *kept] * (index > 0)),
        ]
        x = interpolate(torch.cat(parts, 1), scale_factor=1 / s, mode="bilinear")
        if index:
            x = torch.cat((x, interpolate(flow, scale_factor=1 / s, mode="bilinear") / s), 1)
        reach = s if architecture.head == "shuffled" else 2 * s
        found = interpolate(network.blocks[index](x), scale_factor=reach, mode="bilinear")
        return torch.cat((found[:, :FLOW] * reach, found[:, FLOW:]), 1)

    def turned(flow: Tensor) -> Tensor:
        return torch.cat((flow[:, 2:], flow[:, :2]), 1)

    originals = [torch.cat(parts, 1) for parts in zip(images, features, strict=True)]
    pair, kept = originals, []
    flow = torch.zeros_like(clock).repeat(1, FLOW, 1, 1)
    mask = torch.zeros_like(clock)
    for index in range(len(architecture.widths)):
        found = block(index, pair, kept, clock, mask, flow)
        delta, new_mask = found[:, :FLOW], found[:, FLOW : FLOW + 1]
        if ensemble:
            back = block(index, pair[::-1], kept, 1 - clock, -mask, turned(flow))
            delta, new_mask = (delta + turned(back[:, :FLOW])) / 2, (new_mask - back[:, FLOW : FLOW + 1]) / 2
        flow = flow + delta
        mask = mask + new_mask if architecture.accumulates_mask else new_mask
        kept = [found[:, FLOW + 1 : FLOW + 1 + architecture.recurrent]]
        pair = [warp(originals[0], flow[:, :2]), warp(originals[1], flow[:, 2:])]
    share = torch.sigmoid(mask)
    return pair[0][:, :COLOURS] * share + pair[1][:, :COLOURS] * (1 - share)


@ALL
def test_every_network_equals_the_described_pass_fused_or_not(architecture: Architecture) -> None:
    if architecture.doubles:
        pytest.skip("its seeded weights double the scales, which the golden case covers")
    network = seeded(architecture)
    images = pictures(architecture.multiple, 2 * architecture.multiple)
    expected = described(network, images, 0.3)
    assert expected.std() > 0.05
    torch.testing.assert_close(between(network, images, 0.3), expected, **EXACT)
    torch.testing.assert_close(between(network.fuse(), images, 0.3), expected, **EXACT)


@pytest.mark.parametrize("scale", [0.25, 0.5, 2, 4])
@pytest.mark.parametrize("version", ["4.4", "4.6", "4.25.lite"])
def test_every_scale_equals_the_described_pass(version: str, scale: float) -> None:
    network = seeded(VERSIONS[version])
    side = VERSIONS[version].padding_multiple(scale)
    images = pictures(side, side)
    expected = described(network, images, 0.6, scale)
    torch.testing.assert_close(between(network.fuse(), images, 0.6, scale=scale), expected, **EXACT)


@pytest.mark.parametrize("version", ["4.5", "4.14.lite", "4.20"])
def test_the_ensemble_equals_the_described_pass(version: str) -> None:
    network = seeded(VERSIONS[version])
    images = pictures(64, 96)
    expected = described(network, images, 0.4, ensemble=True)
    assert not torch.allclose(expected, described(network, images, 0.4), atol=1e-2)
    torch.testing.assert_close(between(network.fuse(), images, 0.4, ensemble=True), expected, **EXACT)


@pytest.mark.parametrize("version", ["4.0", "4.6", "4.25"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_all_times_of_a_pair_in_one_batch_equal_one_by_one(version: str, threads: int) -> None:
    network = seeded(VERSIONS[version]).fuse()
    images = pictures(64, 128)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = between(network, images, 0.25, 0.5, 0.75)
        apart = torch.cat([between(network, images, time) for time in (0.25, 0.5, 0.75)])
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(together, apart, atol=2e-3 if version == "4.0" else 2e-5, rtol=0)


def test_a_shared_frame_and_another_size_in_between_change_nothing() -> None:
    network = seeded(VERSIONS["4.25"]).fuse()
    images = pictures(64, 128)
    frames = [network.encode(image) for image in images]
    time = torch.tensor([0.5])
    once = network(*frames, time)
    between(network, pictures(128, 64))
    torch.testing.assert_close(network(*frames, time), once, atol=0, rtol=0)
    torch.testing.assert_close(between(network, images), once, atol=1e-6, rtol=0)


@pytest.mark.parametrize("version", ["4.6", "4.25"])
def test_alpha_is_carried_along_and_moves_nothing(version: str) -> None:
    network = seeded(VERSIONS[version]).fuse()
    images = pictures(64, 128)
    with_red = tuple(torch.cat((image, image[:, :1]), 1) for image in images)
    result = between(network, (with_red[0], with_red[1]), 0.3, 0.6)
    torch.testing.assert_close(result[:, :3], between(network, images, 0.3, 0.6), atol=1e-6, rtol=0)
    torch.testing.assert_close(result[:, 3], result[:, 0], atol=1e-6, rtol=0)


def test_equal_frames_without_motion_stay_as_they_are() -> None:
    network = seeded(VERSIONS["4.6"])
    for block in network.blocks:
        for tensor in block.lastconv.state_dict().values():
            tensor.zero_()
    image = pictures(64, 64)[0]
    torch.testing.assert_close(between(network.fuse(), (image, image), 0.1, 0.9), image.expand(2, -1, -1, -1), **EXACT)


def test_weights_packed_for_a_size_follow_to_another_and_to_other_threads() -> None:
    if not convolution.can_pack(torch.float32):
        pytest.skip("oneDNN's order of weights cannot be used here")
    network, plain = seeded(VERSIONS["4.25"]).fuse(), seeded(VERSIONS["4.25"]).fuse(pack=False)
    for size in ((64, 64), (128, 192), (64, 64)):
        images = pictures(*size)
        torch.testing.assert_close(between(network, images), between(plain, images), **EXACT)


def test_without_the_private_operators_the_plain_ones_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> Tensor:
        raise AttributeError("_convolution_pointwise")

    images = pictures(64, 64)
    expected = between(seeded(VERSIONS["4.6"]).fuse(), images)
    convolution.can_pack.cache_clear()
    monkeypatch.setattr(convolution, "_packed", absent)
    try:
        assert not convolution.can_pack(torch.float32)
        torch.testing.assert_close(between(seeded(VERSIONS["4.6"]).fuse(), images), expected, **EXACT)
    finally:
        convolution.can_pack.cache_clear()


@pytest.mark.parametrize("version", ["4.6", "4.25"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_stays_near_float32(version: str, dtype: torch.dtype) -> None:
    images = pictures(64, 128)
    exact = between(seeded(VERSIONS[version]), images, 0.3)
    half = between(seeded(VERSIONS[version]).to(dtype).fuse(), images, 0.3)
    assert half.dtype == torch.float32
    assert -10 * torch.log10((half - exact).square().mean()) > 45


@pytest.mark.parametrize(("enlarged", "reduced"), [(16, 2), (8, 4), (4, 2), (64, 32)])
def test_enlarging_and_reducing_is_enlarging_by_less(enlarged: int, reduced: int) -> None:
    x = torch.rand(1, 2, 5, 7, generator=torch.Generator().manual_seed(1))
    both = resize(resize(x, enlarged), 1 / reduced)
    torch.testing.assert_close(resize(x, enlarged / reduced), both, atol=1e-6, rtol=0)


def test_what_a_network_cannot_do_is_refused() -> None:
    network = seeded(VERSIONS["4.25"])
    images = pictures(64, 64)
    with pytest.raises(ValueError, match="no ensemble"):
        between(network, images, ensemble=True)
    with pytest.raises(ValueError, match=r"scale is .* not 0\.75"):
        between(network, images, scale=0.75)
    with pytest.raises(ValueError, match="multiples of 64, not 64 × 32"):
        between(network, pictures(32, 64))
    with pytest.raises(ValueError, match="multiples of 128"):
        between(network, images, scale=0.5)
    with pytest.raises(ValueError, match="the frames differ"):
        between(network, (images[0], pictures(64, 128)[1]))


@pytest.mark.slow
@pytest.mark.parametrize("version", ["4.6", "4.25"])
def test_a_compiled_network_equals_the_network(version: str) -> None:
    network = seeded(VERSIONS[version]).fuse(pack=False)
    frames = [network.encode(image) for image in pictures(64, 128)]
    times = torch.tensor([0.25, 0.5])
    with torch.inference_mode():
        expected = network(*frames, times)
        compiled = torch.compile(network, dynamic=False, fullgraph=True)(*frames, times)
    torch.testing.assert_close(compiled, expected, **EXACT)
