"""Pictures in and out."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen.errors import StageError
from animegen_torch.pictures import to_pictures, to_tensor

ALL = np.arange(256, dtype=np.uint8).reshape(1, 8, 32, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_level_survives(dtype: torch.dtype) -> None:
    tensor = to_tensor(ALL, dtype=dtype)
    assert tensor.dtype == dtype and tensor.shape == (1, 1, 8, 32)
    assert float(tensor.min()) == 0 and float(tensor.max()) == 1
    assert np.array_equal(to_pictures(tensor), ALL)


def test_channels_go_first_and_come_back() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 4), dtype=np.uint8)
    tensor = to_tensor(pictures)
    assert tensor.is_contiguous()
    assert torch.equal(tensor, torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)
    last = to_tensor(pictures, channels_last=True)
    assert last.is_contiguous(memory_format=torch.channels_last) and torch.equal(last, tensor)
    back = to_pictures(last)
    assert back.flags.c_contiguous and back.dtype == np.uint8 and np.array_equal(back, pictures)
    assert to_tensor(pictures[0]).shape == (1, 4, 5, 7)
    assert to_pictures(tensor[0]).shape == (1, 5, 7, 4)


def test_nothing_given_is_changed() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    before = pictures.copy()
    pictures.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = to_tensor(pictures[:, ::2, ::-1])
    tensor.add_(1)
    assert np.array_equal(pictures, before)
    values = torch.full((1, 3, 2, 2), 1.5)
    to_pictures(values)
    assert (values == 1.5).all()


def test_values_are_cut_and_rounded() -> None:
    values = torch.tensor([-1.0, 0.0019, 0.0021, 0.5, 1.0, 7.0, float("inf"), -float("inf")]).view(1, 1, 1, -1)
    assert to_pictures(values).flatten().tolist() == [0, 0, 1, 128, 255, 255, 255, 0]


def test_what_is_no_number_is_never_black() -> None:
    values = torch.rand(2, 3, 4, 4).half()
    values[1, 2, 3, 3] = float("nan")
    with pytest.raises(StageError, match="not numbers, in float16") as caught:
        to_pictures(values)
    assert "--dtype float32" in caught.value.hints[0]


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 is expected"):
        to_tensor(array)


def test_no_pictures_are_no_pictures() -> None:
    assert to_pictures(to_tensor(np.zeros((0, 4, 5, 3), np.uint8))).shape == (0, 4, 5, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same() -> None:
    assert np.array_equal(to_pictures(to_tensor(ALL, "cuda", torch.float16)), ALL)
