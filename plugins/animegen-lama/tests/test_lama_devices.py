"""Devices, and too little memory."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; pip install animegen-lama brings it")
pytest.importorskip("simple_lama_inpainting", reason="simple-lama-inpainting is not installed here")

from animegen.errors import ResourceError
from animegen_lama.plugin import LamaOptions
from animegen_lama.stage import Lama

pytestmark = pytest.mark.usefixtures("no_surprise_download")
Arrays = Callable[..., np.ndarray]
Lend = Callable[..., Any]
Make = Callable[..., Lama]


def test_devices(archive: Path, monkeypatch: pytest.MonkeyPatch, lend: Lend) -> None:
    def device(*names: str) -> torch.device:
        return Lama(LamaOptions(), lend(archive, names))._device

    assert device("cpu").type == "cpu"
    assert device("mps", "cpu").type == "cpu", "no Fourier transform there"
    with pytest.raises(ResourceError, match="lama runs on cuda and cpu, not on mps"):
        device("mps")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device("auto").type == "cpu"
    with pytest.raises(ResourceError, match="--device cuda:0 was asked for"):
        device("cuda:0", "cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert device("auto") == torch.device("cuda:0")
    assert device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_memory_says_what_needs_less(make: Make, error: Exception, noise: Arrays, box: Arrays) -> None:
    stage, image, mask = make(), noise(40, 40, 3), box(40, 40, 5, 9, 5, 9)
    stage(image, mask)

    def fail(*_: object) -> None:
        raise error

    stage._archive._lama = fail  # type: ignore[union-attr, assignment]
    with pytest.raises(ResourceError, match=r"out of memory on cpu in lama, on a picture of 40 × 40") as caught:
        stage(image, mask)
    assert "inpainter.longest" in caught.value.hints[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same(archive: Path, lend: Lend, noise: Arrays, box: Arrays) -> None:
    image, mask = noise(401, 903, 3), box(401, 903, 100, 180, 200, 300)
    stage = Lama(LamaOptions(), lend(archive, ("auto",)))
    on_gpu = stage(image, mask)
    assert stage._device.type == "cuda"
    on_cpu = Lama(LamaOptions(), lend(archive))(image, mask)
    assert np.abs(on_gpu.astype(int) - on_cpu).max() <= 1
    stage.close()
