"""The stage on a CUDA device, where there is one: the same clip as on the processor, in every placement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from animegen_seine.plugin import SeineOptions
from animegen_seine.stage import Seine
from animegen_torch.precision import tf32

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

TIMES = [0.0, 0.25, 0.5, 0.75, 1.0]


def drawn(files: dict[str, str], context: Any, device: str, dtype: str, **options: Any) -> Any:
    context.devices, context.dtype = (device,), dtype
    stage = Seine(SeineOptions(**files, sampler="ddim", steps=3, guidance_scale=2.0, noise="cpu", **options), context)
    draw = np.random.default_rng(5)
    first = draw.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    return stage(first, np.ascontiguousarray(first[:, ::-1]), TIMES, prompt="rain", seed=4)


@pytest.mark.parametrize("options", [{}, {"device_map": "offload"}, {"guidance": "apart", "decoder_frames": 1}])
def test_the_clip_of_the_processor(
    files: dict[str, str], stage_context: Callable[..., Any], options: dict[str, Any]
) -> None:
    expected = drawn(files, stage_context(), "cpu", "float32").astype(float)
    with tf32(False):
        whole = drawn(files, stage_context(), "cuda:0", "float32", **options)
    assert np.abs(whole - expected).max() <= 2
    half = drawn(files, stage_context(), "cuda:0", "float16", **options)
    assert np.abs(half - expected).mean() < 3 and half.std() > 1
