"""Convolutions in half the products: those of torch, but for rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from animegen_torch import winograd
from animegen_torch.winograd import pays, three_rows


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def given(columns: int, height: int, width: int, frames: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Input in channels-last memory with neighbours that are alike, as in pictures; weights of a spread of 1 behind."""
    x = normal(frames, 48, height, width).contiguous(memory_format=torch.channels_last) + 0.5
    return x, normal(40, 48, 3, columns, seed=1) / (48 * 3 * columns) ** 0.5, normal(40, seed=2)


@torch.inference_mode()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("columns", [1, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(4, 6), (1, 1), (7, 5), (16, 3), (9, 33)])
def test_is_the_convolution(height: int, width: int, columns: int, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heights that four does not divide too; all at once, and in as many pieces as there can be."""
    x, weight, addend = given(columns, height, width)
    shift = addend if bias else None
    exact = torch.conv2d(x.double(), weight.double(), None if shift is None else shift.double(), 1, (1, columns // 2))
    before = x.clone()
    for piece in (winograd.PIECE, 1):
        monkeypatch.setattr(winograd, "PIECE", piece)
        result = three_rows(x, weight, shift)
        assert result.shape == exact.shape
        assert result.stride(1) == 1
        torch.testing.assert_close(result.double(), exact, atol=1e-5, rtol=1e-5)
        assert torch.equal(x, before)


@torch.inference_mode()
@pytest.mark.parametrize("height", [12, 16, 23, 64])
def test_bands_of_one_picture_change_no_bit_and_take_less_memory(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = given(3, height, 80)  # pictures that are more than the kernels
    monkeypatch.setattr(winograd, "PIECE", 1 << 40)
    whole = three_rows(x, weight, bias)
    seen: list[int] = []
    inner = winograd._four_rows

    def watched(rows: torch.Tensor, start: int, kernel_at: Any, bias: Any, out: torch.Tensor) -> None:
        seen.append(out.shape[1])
        inner(rows, start, kernel_at, bias, out)

    monkeypatch.setattr(winograd, "_four_rows", watched)
    for piece in (1, x[:1].nbytes // 3, x.nbytes):
        monkeypatch.setattr(winograd, "PIECE", piece)
        seen.clear()
        assert torch.equal(three_rows(x, weight, bias), whole)
        assert piece > 1 or set(seen) == {4}
    heavy = torch.cat([weight] * 40)
    monkeypatch.setattr(winograd, "PIECE", 1)
    assert len(list(winograd._pieces(x, heavy.nbytes, wide=True))) == len(x)


@torch.inference_mode()
def test_rounding_is_a_few_times_that_of_a_plain_convolution() -> None:
    x, weight, bias = given(3, 32, 24)
    exact = torch.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    plain = (torch.conv2d(x, weight, bias, padding=1) - exact).square().mean().sqrt()
    ours = (three_rows(x, weight, bias) - exact).square().mean().sqrt()
    assert ours < 6 * plain


def test_in_float64_it_is_exact() -> None:
    """The transforms themselves hold no rounded constants worth speaking of."""
    x, weight, bias = (one.double() for one in given(3, 12, 8))
    torch.testing.assert_close(
        three_rows(x, weight, bias), torch.conv2d(x, weight, bias, padding=1), atol=1e-13, rtol=1e-13
    )


def test_only_where_it_pays() -> None:
    x, weight = torch.empty(2, 320, 32, 32), torch.empty(320, 320, 3, 3)
    with torch.no_grad():
        assert pays(x, weight)
        assert pays(x, weight[..., :1])
        assert not pays(x.half(), weight.half())
        assert not pays(x.to("meta"), weight)
        assert not pays(x, weight, stride=2)
        assert not pays(x, weight[:, :, :1])  # one row
        assert not pays(x, weight[:16])  # too little to do for each pixel
        assert not pays(x[:, :, :4, :4], weight)  # too few pixels
    assert not pays(x, weight)  # gradients are for torch's own


def test_kernels_that_are_something_else() -> None:
    with pytest.raises(ValueError, match="3 × odd, not 5 × 5"):
        three_rows(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 5, 5), None)
