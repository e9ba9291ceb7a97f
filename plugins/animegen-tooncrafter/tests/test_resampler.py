"""The image projector on other sizes and types than the golden ones."""

from __future__ import annotations

import pytest
import torch

from animegen_testing.seeded_weights import fill
from animegen_tooncrafter.diffusion.resampler import Resampler, ResamplerConfiguration

TINY = ResamplerConfiguration(dim=64, depth=2, dim_head=16, heads=3, embedding_dim=80, output_dim=48, video_length=5)


def tiny() -> Resampler:
    projector = Resampler(TINY).eval()
    fill(projector, "image_proj_model.")
    return projector


@torch.inference_mode()
def test_samples_do_not_see_one_another() -> None:
    x = torch.randn(3, 17, 80, generator=torch.Generator().manual_seed(0))
    out = tiny()(x)
    assert out.shape == (3, 16 * 5, 48)
    torch.testing.assert_close(tiny()(x[1:2]), out[1:2], atol=1e-5, rtol=1e-5)
    assert (out[0] - out[1]).abs().max() > 0.1


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_half_precision_is_near(dtype: torch.dtype, bound: float) -> None:
    x = torch.randn(1, 17, 80, generator=torch.Generator().manual_seed(0))
    exact, out = tiny()(x), tiny().to(dtype)(x)
    assert out.dtype == dtype
    assert 0 < (out.float() - exact).abs().max() < bound * exact.abs().max()
