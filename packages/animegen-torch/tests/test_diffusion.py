"""Parts that models for clips share, each against the plainest form of itself."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from animegen_torch.diffusion import attention
from animegen_torch.diffusion.attention import SelfAttention, attend_over_time
from animegen_torch.diffusion.inference import lay_out
from animegen_torch.diffusion.layers import GroupNorm, Upsample
from animegen_torch.diffusion.tables import tables_of
from animegen_torch.known_models import name_of_model
from animegen_torch.tensor_files import TensorFile
from animegen_torch.untrained import draw_parameters

PLACES, HEADS, FRAMES, WIDTH = 6, 2, 5, 8


@pytest.fixture
def drawn() -> list[torch.Tensor]:
    """Queries, keys and values of two samples, places and heads on one axis, and a bias for each head."""
    draw = torch.Generator().manual_seed(0)
    three = [torch.randn(2, PLACES * HEADS, FRAMES, WIDTH, generator=draw) for _ in range(3)]
    return [*three, torch.randn(HEADS, FRAMES, FRAMES, generator=draw)]


def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    scores = q @ k.mT * WIDTH**-0.5 + bias.repeat(PLACES, 1, 1)
    return scores.softmax(-1) @ v


@torch.inference_mode()
def test_a_bias_of_each_head_reaches_its_own_scores(drawn: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = plain(*drawn)
    torch.testing.assert_close(attend_over_time(*drawn), expected)
    # As on other devices, also where there are more places than a call takes.
    monkeypatch.setattr(attention, "GRID_LIMIT", 4)
    torch.testing.assert_close(attention._attend_with_bias(*drawn), expected)
    half = attend_over_time(*(one.bfloat16() for one in drawn))
    torch.testing.assert_close(half.float(), expected, atol=0.05, rtol=0)


def test_a_bias_has_a_gradient(drawn: list[torch.Tensor]) -> None:
    *three, bias = drawn
    bias.requires_grad_(True)
    attend_over_time(*three, bias).sum().backward()
    assert bias.grad is not None and bias.grad.shape == bias.shape


@torch.inference_mode()
def test_queries_and_keys_are_turned_before_they_meet() -> None:
    layer = SelfAttention(16, HEADS)
    lay_out(layer)
    tokens = torch.randn(2, FRAMES, 3, 16, generator=torch.Generator().manual_seed(1))
    seen = []

    def turn(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return x * 0

    # Without queries and keys all frames count the same.
    mean = layer.to_out(layer.to_v(tokens).mean(1, keepdim=True).expand_as(tokens))
    torch.testing.assert_close(layer.over_time(tokens, turn=turn), mean)
    assert seen == [(2, FRAMES, 3 * HEADS, 8)] * 2


def test_tables_of_a_schedule() -> None:
    tables = tables_of(np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(tables["alphas_cumprod"], np.cumprod(1 - tables["betas"]))
    signal, noise = tables["sqrt_alphas_cumprod"], tables["sqrt_one_minus_alphas_cumprod"]
    np.testing.assert_allclose(signal**2 + noise**2, 1)
    np.testing.assert_allclose(tables["sqrt_recip_alphas_cumprod"] * signal, 1)
    # A clean latent in, its mean out: what DDPM's coefficients are for.
    first, second = tables["posterior_mean_coef1"], tables["posterior_mean_coef2"]
    np.testing.assert_allclose(first + second * signal, np.sqrt(tables["alphas_cumprod_prev"]))
    assert np.isinf(tables_of(np.array([0.5, 1.0]))["sqrt_recip_alphas_cumprod"][1])


@torch.inference_mode()
def test_sizes_that_do_not_halve_evenly_come_back() -> None:
    layer = Upsample(4)
    lay_out(layer)
    x = torch.randn(1, 4, 3, 2)
    assert layer(x, (5, 3)).shape == (1, 4, 5, 3)
    torch.testing.assert_close(layer(x), layer(x, (6, 4)))
    assert GroupNorm(8, groups=2).num_groups == 2


def test_random_parameters_are_those_of_their_seed() -> None:
    def made(seed: int) -> torch.nn.Module:
        with torch.device("meta"):
            layer = torch.nn.Linear(64, 3)
        return draw_parameters(layer, lambda name: torch.bfloat16 if name == "weight" else torch.float32, seed=seed)

    one, again, other = made(1), made(1), made(2)
    assert one.weight.dtype == torch.bfloat16 and one.bias.dtype == torch.float32
    assert torch.equal(one.weight, again.weight) and not torch.equal(one.weight, other.weight)
    assert 0.05 < float(one.weight.float().std()) < 0.2 and not one.weight.requires_grad


def test_settings_beside_parameters_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    torch.save({"ema": {"a": torch.ones(2)}, "args": argparse.Namespace(lr=1e-4)}, path)
    assert list(TensorFile.open(path).state()) == ["a"]


def test_seine_is_known_by_its_attention_over_time() -> None:
    block = "down_blocks.0.attentions.0.transformer_blocks.0.attn_temp.to_q.weight"
    shapes = {"conv_in.weight": (320, 9, 3, 3), block: (320, 320)}
    assert name_of_model(shapes) == "SEINE"
    assert "LaVie" in str(name_of_model({**shapes, "conv_in.weight": (320, 4, 3, 3)}))
