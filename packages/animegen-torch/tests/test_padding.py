"""Padding to a multiple, and back."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen_torch.padding import Padding

NUMPY = {"zeros": "constant", "reflect": "reflect", "replicate": "edge"}


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 2, 7, 32]),
    st.sampled_from(["zeros", "reflect", "replicate"]),
    st.booleans(),
    st.sampled_from([1, 50]),
)
def test_as_numpy_and_back(height: int, width: int, multiple: int, fill: str, centred: bool, smallest: int) -> None:
    pictures = torch.arange(2.0 * 3 * height * width).view(2, 3, height, width)
    padding = Padding.to_multiple(pictures.shape, multiple, fill=fill, centred=centred, smallest=smallest)
    grown = padding.pad(pictures)
    assert grown.shape[2:] == padding.size
    for side, given_side in zip(padding.size, (height, width), strict=True):
        assert side % multiple == 0 and side >= smallest and side - max(given_side, smallest) < multiple
    rim = ((0, 0), (0, 0), (padding.top, padding.bottom), (padding.left, padding.right))
    assert np.array_equal(grown, np.pad(pictures.numpy(), rim, mode=NUMPY[fill]))
    assert torch.equal(padding.crop(grown), pictures)
    if centred:
        assert 0 <= padding.bottom - padding.top <= 1 and 0 <= padding.right - padding.left <= 1
    else:
        assert padding.top == padding.left == 0


def test_nothing_is_copied_where_nothing_is_added() -> None:
    pictures = torch.rand(1, 3, 64, 32)
    padding = Padding.to_multiple(pictures.shape, (64, 32))
    assert padding.pad(pictures) is pictures
    assert padding.crop(pictures).data_ptr() == pictures.data_ptr()


def test_a_larger_result_is_cut_at_its_scale() -> None:
    padding = Padding.to_multiple((5, 6), 8, centred=True)
    large = padding.pad(torch.ones(1, 1, 5, 6)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(padding.crop(large, 2), torch.ones(1, 1, 10, 12))


def test_other_sizes_are_refused() -> None:
    padding = Padding.to_multiple((5, 6), 8)
    with pytest.raises(ValueError, match="was given"):
        padding.pad(torch.ones(1, 1, 6, 5))
    with pytest.raises(ValueError, match="is expected after padding"):
        padding.crop(torch.ones(1, 1, 5, 6))
