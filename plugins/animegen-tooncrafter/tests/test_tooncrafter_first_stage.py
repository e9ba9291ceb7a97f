"""The autoencoder: pieces equal the whole, nothing is kept that is not needed, and half precision stays in range."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from animegen_testing import seeded_weights
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.decoder import VideoBlock
from animegen_tooncrafter.first_stage.streams import FrameQueue, Statistics, TimeStream
from animegen_tooncrafter.first_stage.sweeps import Chunking, Sweeps
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.layers import Conv2d, Upsample
from animegen_torch.diffusion.finite import NotFiniteError

TINY = FirstStageConfiguration(ch=32, num_res_blocks=1)
FRAMES = 16


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors are tiny: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    """The autoencoder written out the plainest way."""
    path = Path(__file__).parents[3] / "benchmarks" / "plain_tooncrafter_vae.py"
    spec = importlib.util.spec_from_file_location("plain_tooncrafter_vae", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stage() -> FirstStage:
    network = FirstStage(TINY)
    seeded_weights.fill(network, "first_stage_model.")
    return network.eval()


@pytest.fixture(scope="module")
def keyframes() -> Tensor:
    return torch.from_numpy(seeded_weights.seeded_input("keyframes", (2, 3, 24, 32)))


@pytest.fixture(scope="module")
def features(stage: FirstStage, keyframes: Tensor) -> tuple[Tensor, ...]:
    return stage.encode(keyframes)[1]


@pytest.fixture(scope="module")
def latents() -> Tensor:
    return torch.from_numpy(seeded_weights.seeded_input("latents", (FRAMES, 4, 3, 4)))


def close(ours: Tensor, theirs: Tensor, bound: float = 1e-5) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= bound * max(1.0, float(theirs.abs().max()))


@pytest.fixture(scope="module")
def expected(plain: ModuleType, stage: FirstStage, features: tuple[Tensor, ...], latents: Tensor) -> Tensor:
    return plain.decode(stage, latents, features)


@pytest.mark.parametrize(
    ("frames", "recompute"), [(None, False), (None, True), (1, False), (1, True), (2, True), (5, False), (16, True)]
)
def test_pieces_equal_the_whole(
    stage: FirstStage,
    features: tuple[Tensor, ...],
    latents: Tensor,
    expected: Tensor,
    frames: int | None,
    recompute: bool,
) -> None:
    chunking = Chunking(frames, offload=frames == 2, recompute=recompute)
    close(stage.decode(latents, stage.references(features), chunking=chunking), expected)


def test_plain_without_references(plain: ModuleType, stage: FirstStage, latents: Tensor) -> None:
    close(stage.decode(latents, None, chunking=Chunking(3)), plain.decode(stage, latents, None))


@pytest.mark.parametrize("count", [7, 14])
@pytest.mark.parametrize("chunking", [Chunking(), Chunking(1), Chunking(3, recompute=True)])
def test_some_frames_equal_those_of_all(
    stage: FirstStage, features: tuple[Tensor, ...], latents: Tensor, count: int, chunking: Chunking
) -> None:
    references = stage.references(features)
    clip = latents[:count]
    whole = Sweeps(stage.decoder, references).run(clip)
    for first, stop in ((count // 2 - 1, count // 2 + 1), (0, 1), (count - 2, count)):
        close(Sweeps(stage.decoder, references, chunking).run(clip, only=(first, stop)), whole[first:stop])


def test_the_second_pass_computes_no_colours_of_frames_it_does_not_need(
    stage: FirstStage, features: tuple[Tensor, ...], latents: Tensor
) -> None:
    seen: dict[str, int] = {}

    def count(name: str, start: int, frames: Tensor) -> None:
        seen[name] = seen.get(name, 0) + len(frames)

    Sweeps(stage.decoder, stage.references(features), Chunking(1), count).run(latents[:14], only=(6, 8))
    assert seen["conv_out"] == 4  # frames 5 to 8: the last layer looks one frame to each side
    assert seen["up.0.block.1"] == 8  # two more to each side go into its time stack
    assert seen["up.0.block.0"] == 14  # the norm before that needs all


def test_the_second_pass_replaces_the_two_frames_in_the_middle(
    stage: FirstStage, features: tuple[Tensor, ...], latents: Tensor
) -> None:
    references = stage.references(features)
    once = stage.decode(latents, references, second_pass=False)
    twice = stage.decode(latents, references)
    differ = [i for i in range(FRAMES) if (once[i] - twice[i]).abs().max() > 1e-3]
    assert differ == [7, 8]


def test_two_frames_are_encoded_with_the_noise_of_sixteen(
    plain: ModuleType, stage: FirstStage, keyframes: Tensor
) -> None:
    first, last = keyframes
    clip = torch.stack([first] * 8 + [last] * 8)
    noise = torch.randn(FRAMES, 4, 3, 4, generator=torch.Generator().manual_seed(1))
    z, features = plain.encode(stage, clip, noise)
    encoded = stage.encode_keyframes(first, last, noise)
    close(encoded.latents, z[[0, 15]])
    for ours, theirs in zip(encoded.features, features, strict=True):
        close(ours, theirs[[0, 15]])


def test_the_encoder_keeps_five_features_of_one_picture_at_a_time(stage: FirstStage, keyframes: Tensor) -> None:
    seen = []
    hook = stage.encoder.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    _, features = stage.encode(keyframes)
    hook.remove()
    assert seen == [1, 1]
    assert [tuple(one.shape) for one in features] == [
        (2, 32, 24, 32),
        (2, 64, 12, 16),
        (2, 128, 6, 8),
        (2, 128, 3, 4),
        (2, 32, 24, 32),
    ]


def test_references_reach_the_frames_they_should(
    stage: FirstStage, features: tuple[Tensor, ...], latents: Tensor
) -> None:
    """Combiners change the ends only; attention changes every frame."""
    references = stage.references(features)
    clip = torch.zeros(4, 32, 24, 32)
    changed = references.inject(0, clip.clone(), 0, 4)
    assert [bool(frame.any()) for frame in changed] == [True, False, False, True]
    part = references.inject(0, clip[:2].clone(), 2, 4)
    assert torch.equal(part, changed[2:])
    clip = torch.zeros(4, 128, 6, 8)
    assert all(bool(frame.any()) for frame in references.inject(2, clip, 0, 4))


@torch.no_grad()
def test_doubling_equals_repeated_pixels_and_a_convolution() -> None:
    layer = Upsample(32)
    seeded_weights.fill(layer, "up.")
    x = torch.from_numpy(seeded_weights.seeded_input("x", (2, 32, 5, 7)))
    twice = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
    close(layer(x), torch.conv2d(twice, layer.conv.weight, layer.conv.bias, padding=1), 1e-6)


@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_statistics_gathered_in_pieces(mean: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x = mean + torch.randn(7, 64, 9, 11, generator=generator) * torch.linspace(0.1, 3, 64).view(1, -1, 1, 1)
    norm = nn.GroupNorm(32, 64, 1e-5)
    seeded_weights.fill(norm, "norm.")
    expected = norm.double()(x.double().transpose(0, 1)[None])[0].transpose(0, 1).float()
    for sizes in ([7], [1] * 7, [3, 0, 4]):
        statistics = Statistics(x.device)
        for piece in x.split(sizes):
            statistics.add(piece)
        factor, addend = statistics.affine(norm.float())
        close((x * factor + addend).detach(), expected.detach(), 1e-5 if mean == 0 else 2e-4)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [[6], [1, 1, 1, 1, 1, 1], [2, 3, 1], [5, 1]])
def test_a_stream_equals_a_convolution_over_time(sizes: list[int]) -> None:
    conv = nn.Conv3d(32, 32, (3, 1, 1), padding=(1, 0, 0))
    x = torch.randn(6, 32, 4, 3, generator=torch.Generator().manual_seed(0))
    one, zero = torch.ones(1, 32, 1, 1), torch.zeros(1, 32, 1, 1)
    expected = conv(nn.functional.silu(x).transpose(0, 1)[None])[0].transpose(0, 1)
    stream = TimeStream((one, zero), conv)
    got = [stream.push(piece) for piece in x.split(sizes)]
    assert [len(piece) for piece in got] == [sizes[0] - 1, *sizes[1:]]
    close(torch.cat([*got, stream.flush()]), expected, 1e-6)
    close(TimeStream((one, zero), conv).push(x, last=True), expected, 1e-6)


def test_a_queue_gives_back_what_went_in_piece_by_piece() -> None:
    cpu = torch.device("cpu")
    queue = FrameQueue(cpu, torch.float32, cpu)
    x = torch.arange(7.0).view(7, 1, 1, 1)
    for piece in x.split([2, 4, 1]):
        queue.put(piece)
    assert torch.equal(torch.cat(list(queue.pieces(3))), x)
    assert queue.count == 7
    assert queue.take(3).flatten().tolist() == [0, 1, 2]
    queue.cut(1, 3)
    assert queue.take(9).flatten().tolist() == [4, 5]
    assert queue.count == 0


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.08), (torch.float16, 0.01)])
def test_half_precision_is_near_float32(
    stage: FirstStage, keyframes: Tensor, latents: Tensor, dtype: torch.dtype, bound: float
) -> None:
    half = FirstStage(TINY).eval()
    half.load_state_dict(stage.state_dict())
    half.to(dtype)
    features = half.encode(keyframes)[1]
    assert all(one.dtype == dtype for one in features)
    frames = half.decode(latents[:4], half.references(features), chunking=Chunking(2))
    assert frames.dtype == torch.float32
    expected = stage.decode(latents[:4], stage.references(stage.encode(keyframes)[1]))
    difference = (frames - expected).abs()
    assert 0 < difference.mean() / expected.abs().mean() < bound


def large(stage: FirstStage) -> FirstStage:
    """A decoder whose sums reach several times 65504, as those of some drawings do."""
    network = FirstStage(TINY).eval()
    network.load_state_dict(stage.state_dict())
    with torch.no_grad():
        for name in ("conv2.weight", "conv2.bias"):
            network.decoder.up[1].get_parameter(f"block.0.{name}").mul_(1e5)
    return network


def test_sums_that_leave_the_range_of_float16(stage: FirstStage, features: tuple[Tensor, ...], latents: Tensor) -> None:
    network = large(stage)
    most = 0.0

    def watch(name: str, start: int, frames: Tensor) -> None:
        nonlocal most
        most = max(most, float(frames.abs().max()))

    clip = latents[:6] * 5.5
    exact = Sweeps(network.decoder, network.references(features), watch=watch).run(clip)
    assert most > 2 * 65504
    network.to(torch.float16)
    half = Sweeps(network.decoder, network.references(tuple(one.half() for one in features)), Chunking(2)).run(clip)
    assert (half - exact).abs().mean() < 0.02 * exact.abs().mean()


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("mid.attn_1.q.weight", "mid.block_2"),
        ("up.2.block.1.conv1.weight", "up.2.block.1"),
        ("up.2.block.0.time_stack.out_layers.3.weight", "up.2.block.1"),
        ("up.2.block.0.time_stack.in_layers.2.weight", "up.2.block.0.time_stack"),
        ("conv_out.weight", "conv_out"),
    ],
)
def test_what_is_not_a_number_is_traced_to_a_part(
    stage: FirstStage, features: tuple[Tensor, ...], latents: Tensor, part: str, told: str
) -> None:
    network = FirstStage(TINY).eval()
    network.load_state_dict(stage.state_dict())
    with torch.no_grad():
        network.decoder.get_parameter(part).view(-1)[5] = torch.nan
    with pytest.raises(NotFiniteError, match=rf"the first come from {told}\."):
        network.decode(latents[:4], network.references(features), chunking=Chunking(2))


def test_an_encoder_that_gives_no_numbers_says_so(stage: FirstStage, keyframes: Tensor) -> None:
    network = FirstStage(TINY).eval()
    network.load_state_dict(stage.state_dict())
    with torch.no_grad():
        network.encoder.down[1].get_parameter("block.0.conv1.weight").view(-1)[0] = torch.inf
    with pytest.raises(NotFiniteError, match=r"the first come from down\.1\."):
        network.encode(keyframes)


@pytest.mark.parametrize("other", [{"attn_resolutions": [16]}, {"double_z": False}, {"ch_mult": [1, 2]}])
def test_other_architectures_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="implemented"):
        FirstStageConfiguration.of(other)


def test_the_module_that_is_never_run_is_there_for_the_file() -> None:
    with torch.device("meta"):
        network = FirstStage()
    assert isinstance(network.post_quant_conv, Conv2d)
    assert isinstance(network.decoder.mid.block_1, VideoBlock)
