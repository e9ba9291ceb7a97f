"""The network and its surroundings: names and sizes of the published file, and what is done otherwise than plainly."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from animegen.errors import UsageError
from animegen_seine.conditioning import beside, shown, tokenize, with_suffix
from animegen_seine.diffusion.masks import TRANSITION, frame_mask
from animegen_seine.diffusion.schedule import Schedule, kept_timesteps, strided_timesteps
from animegen_seine.diffusion.solvers import DDIM, DDPM
from animegen_seine.model import BLUEPRINT, CLIP_L, ModelConfiguration, layer_of, unet_sizes
from animegen_seine.network.architecture import UNetConfiguration
from animegen_seine.network.position import TURNED, frequencies
from animegen_seine.network.unet import UNet
from animegen_testing.seeded_weights import fill
from animegen_torch.diffusion.autoencoder.encoder import Posterior

TIMES = torch.tensor([5])
SMALL = UNetConfiguration(widths=(64, 64), layers=1, context=32, heads=2)


@pytest.fixture(scope="module")
def manifest() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file."""
    entries = json.loads(gzip.decompress((Path(__file__).parent / "manifest.json.gz").read_bytes()))
    return {name: tuple(shape) for name, (shape, _) in entries.items()}


@pytest.fixture(scope="module")
def small() -> UNet:
    unet = UNet(SMALL)
    fill(unet)
    return unet.for_inference()


def test_names_and_shapes_of_the_published_file(manifest: dict[str, tuple[int, ...]]) -> None:
    network = BLUEPRINT.empty("unet", ModelConfiguration())
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    constants = {name: shape for name, shape in manifest.items() if name.endswith("rotary_emb.freqs")}
    assert set(constants.values()) == {(TURNED // 2,)} and len(constants) == 16
    assert ours == {name: shape for name, shape in manifest.items() if name not in constants}
    numbers = sum(tensor.numel() for tensor in network.state_dict().values())
    assert numbers + len(constants) * TURNED // 2 == 909_138_756
    assert unet_sizes(manifest) == UNetConfiguration()
    assert "transformer_blocks" not in " ".join(layer_of(name) for name in ours)


def test_sizes_of_the_parts_of_stable_diffusion() -> None:
    text, autoencoder = (BLUEPRINT.empty(part, ModelConfiguration()) for part in ("text", "first_stage"))
    # CLIP ViT-L/14's text tower without its projection, and the autoencoder of Stable Diffusion 1.x, as published.
    assert sum(one.numel() for one in text.parameters()) == 123_060_480
    assert sum(one.numel() for one in autoencoder.parameters()) == 83_653_863


def test_frequencies_are_those_that_the_file_holds() -> None:
    golden = np.load(Path(__file__).parent / "golden" / "temporal_position.npz")
    np.testing.assert_allclose(frequencies(), golden["rotary_freqs"], rtol=1e-6)


@torch.inference_mode()
def test_guidance_together_is_guidance_apart(small: UNet) -> None:
    draw = torch.Generator().manual_seed(3)
    x, text = torch.randn(2, 9, 3, 5, 6, generator=draw), torch.randn(2, 7, 32, generator=draw)
    times = torch.tensor([700, 20])
    together = small(x, times, text)
    for index in range(2):
        one = slice(index, index + 1)
        torch.testing.assert_close(small(x[one], times[one], text[one]), together[one], atol=2e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "far"), [(torch.bfloat16, 0.12), (torch.float16, 0.02)])
def test_half_precision(small: UNet, dtype: torch.dtype, far: float) -> None:
    draw = torch.Generator().manual_seed(3)
    x, text, times = (
        torch.randn(1, 9, 4, 8, 8, generator=draw),
        torch.randn(1, 7, 32, generator=draw),
        torch.tensor([5]),
    )
    expected = small(x, times, text)
    half = UNet(SMALL)
    half.load_state_dict(small.state_dict())
    half.compute_in(dtype).for_inference()
    assert half.time_embedding.linear_1.weight.dtype == torch.float32
    result = half(x, times, text)
    assert result.dtype == torch.float32
    assert float((result - expected).abs().max()) < far * float(expected.std()) * 4


@torch.inference_mode()
def test_branches_are_one_until_they_see_their_text(small: UNet) -> None:
    """Two latents under three texts, against six calls; the first layers see each latent once."""
    draw = torch.Generator().manual_seed(3)
    x, text = torch.randn(2, 9, 3, 4, 4, generator=draw), torch.randn(6, 7, 32, generator=draw)
    times, seen = torch.tensor([700, 20]), {}
    expected = {"attn1.to_out": 6, "attn2.to_out": 18}
    for name in expected:
        part = small.get_submodule(f"down_blocks.0.attentions.0.transformer_blocks.0.{name}")
        part.register_forward_hook(lambda module, given, _: seen.update({module: len(given[0])}))
    together = small(x, times, text)
    assert sorted(seen.values()) == sorted(expected.values())
    apart = [small(x[i % 2, None], times[i % 2, None], text[i, None]) for i in range(6)]
    torch.testing.assert_close(together, torch.cat(apart), atol=2e-5, rtol=0)


def test_gradients_take_the_same_way(small: UNet) -> None:
    """Outside inference nothing is written over: the result is the same."""
    draw = torch.Generator().manual_seed(3)
    x, text, times = (
        torch.randn(1, 9, 3, 4, 4, generator=draw),
        torch.randn(1, 7, 32, generator=draw),
        torch.tensor([5]),
    )
    with torch.inference_mode():
        expected = small(x, times, text)
    with torch.enable_grad():
        torch.testing.assert_close(small(x, times, text).detach(), expected, atol=2e-5, rtol=0)


def test_a_context_belongs_to_its_clips(small: UNet) -> None:
    context = small.prepare(torch.zeros(1, 7, 32), 4)
    with pytest.raises(ValueError, match="1 × 4 frames"):
        small(torch.zeros(1, 9, 3, 4, 4), torch.tensor([5]), context)


def test_tokens_are_filled_up_with_the_end_of_text() -> None:
    ids = tokenize(["rain", ""])
    assert ids.shape == (2, 77)
    assert ids[0, :3].tolist() == [49406, 2443, 49407]
    assert ids[1, :2].tolist() == [49406, 49407]
    assert set(ids[0, 2:].tolist()) == set(ids[1, 1:].tolist()) == {49407}
    assert tokenize(["word " * 100])[0, -1] == 49407


def test_the_suffix_stands_behind_the_prompt() -> None:
    assert with_suffix("a cat ", "smooth transition.") == "a cat smooth transition."
    assert with_suffix("", "smooth transition.") == "smooth transition."
    assert with_suffix("a cat", "") == "a cat"
    assert CLIP_L.quick_gelu and not CLIP_L.unused


def test_what_is_given_stands_at_the_ends() -> None:
    first, last = torch.full((3, 16, 8), 0.5), torch.full((3, 16, 8), -0.5)
    pictures = shown(first, last)
    assert [float(one.mean()) for one in pictures] == [0.5, -0.5, 0.0]
    posterior = Posterior(torch.arange(3.0).view(3, 1, 1, 1).expand(3, 4, 2, 1), torch.zeros(3, 4, 2, 1))
    noise = torch.randn(5, 4, 2, 1, generator=torch.Generator().manual_seed(1))
    mask = frame_mask(TRANSITION, 5)
    clip = beside(posterior, mask, noise)
    assert clip.shape == (1, 5, 5, 2, 1)
    assert clip[0, 0, :, 0, 0].tolist() == [0, 1, 1, 1, 0]
    means = torch.tensor([0.0, 2, 2, 2, 1]).view(5, 1, 1, 1)
    torch.testing.assert_close(clip[0, 1:].transpose(0, 1), 0.18215 * (means + noise))
    torch.testing.assert_close(beside(posterior, mask, None)[0, 1:].mean((0, 2, 3)), 0.18215 * means.flatten())


@pytest.mark.parametrize(
    ("kind", "frames", "message"),
    [("onelast3", 5, "5 frames"), ("first9", 4, "4 frames"), ("middle1", 4, "no kind of mask")],
)
def test_masks_that_cannot_be(kind: str, frames: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        frame_mask(kind, frames)


def test_every_count_of_steps_can_be_sampled() -> None:
    for steps in (*range(1, 130), 250, 333, 999, 1000):
        kept = kept_timesteps(steps)
        assert len(kept) == steps and kept[-1] == 999
        assert kept == sorted(set(kept))
        schedule = Schedule.of(kept)
        for solver in (DDPM(schedule), DDIM(schedule), DDIM(schedule, 1.0)):
            x = torch.ones(1, 4, 2, 1, 1)
            for index in {0, steps // 2, steps - 1}:
                after, _ = solver.step(index, x, 0.5 * x, lambda: torch.ones(1, 4, 2, 1, 1))
                assert bool(after.isfinite().all()), (steps, index)
    for wrong in (0, 1001):
        with pytest.raises(UsageError, match=f"{wrong} steps"):
            kept_timesteps(wrong)
    with pytest.raises(UsageError, match="51 steps"):
        strided_timesteps(51)
    with pytest.raises(UsageError, match="eta"):
        DDIM(Schedule.of(kept_timesteps(5)), 1.5)


def test_the_right_noise_gives_the_clean_latent_back() -> None:
    """With a network that knows the noise, both samplers end at the latent it was put on."""
    clean = torch.linspace(-1, 1, 8).view(1, 4, 2, 1, 1)
    for steps in (5, 50):
        schedule = Schedule.of(kept_timesteps(steps))
        for solver in (DDPM(schedule), DDIM(schedule)):
            draw = torch.Generator().manual_seed(1)

            def fresh(draw: torch.Generator = draw) -> Tensor:
                return torch.randn(clean.shape, generator=draw)

            x = fresh()
            for index in reversed(range(steps)):
                signal = float(schedule.tables["alphas_cumprod"][index])
                noise = (x - signal**0.5 * clean) / (1 - signal) ** 0.5
                x, x0 = solver.step(index, x, noise, fresh)
                torch.testing.assert_close(x0, clean, atol=1e-3, rtol=0)
            torch.testing.assert_close(x, clean, atol=1e-3, rtol=0)
