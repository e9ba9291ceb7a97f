"""The U-Net: its published tensors, the sizes and frame counts it takes, and what stays true in half precision."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from animegen_testing.seeded_weights import fill
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.objective import temporal_names
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_torch.diffusion.layers import HIDDEN_BYTES_DEFAULT

TINY = UNetConfiguration(
    model_channels=32,
    num_res_blocks=1,
    attention_resolutions=(2, 1),
    channel_mult=(1, 2),
    num_head_channels=16,
    context_dim=64,
)
MANIFEST = json.loads(gzip.decompress((Path(__file__).parent / "manifest.json.gz").read_bytes()))


def tiny() -> UNet:
    unet = UNet(TINY)
    fill(unet, "model.diffusion_model.")
    return unet.for_inference()


def inputs(frames: int = 4, height: int = 8, width: int = 8, samples: int = 1, tokens: int = 64) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(frames)
    return {
        "x": torch.randn(samples, 8, frames, height, width, generator=generator),
        "timesteps": torch.tensor([700, 30][:samples]),
        "context": torch.randn(samples, 77 + tokens, 64, generator=generator),
        "fs": torch.tensor([10, 24][:samples]),
    }


@pytest.mark.parametrize(("prefix", "network"), [("model.diffusion_model.", UNet), ("image_proj_model.", Resampler)])
def test_the_real_size_has_the_published_tensors(prefix: str, network: type[torch.nn.Module]) -> None:
    published = {
        name.removeprefix(prefix): tuple(shape)
        for name, (shape, _) in MANIFEST["tensors"].items()
        if name.startswith(prefix)
    }
    with torch.device("meta"):
        ours = {name: tuple(tensor.shape) for name, tensor in network().state_dict().items()}
    assert published
    assert ours == published


def test_what_belongs_to_time_is_what_the_manifest_counts() -> None:
    with torch.device("meta"):
        unet = UNet()
    over_time = temporal_names(unet)
    sizes = {name: parameter.numel() for name, parameter in unet.named_parameters()}
    parts = MANIFEST["unet_parts"]
    expected = sum(parts[name]["elements"] for name in ("temporal_conv", "temporal_transformer", "init_attn"))
    assert sum(sizes[name] for name in over_time) == expected
    assert sum(sizes.values()) == 1_438_854_980


class Largest(TorchDispatchMode):
    """Watches every operation for the largest tensor that it makes (views make none)."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, Tensor) and not function.is_view:
                self.elements = max(self.elements, one.numel())
        return made


def test_at_the_real_size_nothing_grows_with_the_square_of_the_pixels() -> None:
    with torch.device("meta"), torch.inference_mode():
        unet = UNet().compute_in(torch.float16).eval()
        x, context = torch.empty(1, 8, 16, 40, 64), torch.empty(1, 333, 1024)
        with Largest() as seen:
            out = unet(x, torch.empty(1), context, torch.empty(1))
    assert out.shape == (1, 4, 16, 40, 64)
    queries = 16 * 40 * 64 * 320
    scores = 16 * 5 * 2560 * 2560
    assert queries <= seen.elements <= HIDDEN_BYTES_DEFAULT // 2 < scores / 3


@torch.inference_mode()
@pytest.mark.parametrize(("frames", "height", "width", "tokens"), [(1, 8, 8, 256), (5, 16, 8, 256), (7, 8, 24, 112)])
def test_other_frame_counts_and_sizes_run(frames: int, height: int, width: int, tokens: int) -> None:
    given = inputs(frames, height, width, tokens=tokens)
    out = tiny()(**given)
    assert out.shape == (1, 4, frames, height, width)
    assert torch.isfinite(out).all() and out.std() > 0.01


@torch.inference_mode()
def test_frames_have_their_own_image_tokens_only_if_there_are_sixteen_for_each() -> None:
    """Rule 3.4: with layers over time left out, a change of one frame's tokens stays within that frame."""
    unet = tiny()
    unet.temporal = False
    for tokens, touched in ((64, [2]), (48, [0, 1, 2, 3])):
        given = inputs(tokens=tokens)
        before = unet(**given)
        given["context"][:, 77 + 32 : 77 + 48] += 1.0  # tokens of frame 2, where frames have their own
        changed = (unet(**given) - before).abs().amax((0, 1, 3, 4)) > 1e-4
        assert changed.nonzero().flatten().tolist() == touched


@torch.inference_mode()
def test_frames_do_not_see_one_another_without_layers_over_time() -> None:
    unet, given = tiny(), inputs()
    for temporal, touched in ((True, 4), (False, 1)):
        unet.temporal = temporal
        before = unet(**given)
        other = given | {"x": given["x"].clone()}
        other["x"][:, :, 1] += 1.0
        assert int(((unet(**other) - before).abs().amax((0, 1, 3, 4)) > 0).sum()) == touched


def test_sizes_and_contexts_that_do_not_fit_are_refused() -> None:
    unet = tiny()
    with pytest.raises(ValueError, match=r"multiples of 2 \(a picture's of 16\), not 8 × 7"):
        unet(**inputs(height=7))
    with pytest.raises(ValueError, match="more than 77 tokens"):
        unet(**inputs(tokens=0))
    with torch.inference_mode():
        context = unet.prepare(inputs()["context"], 3)
        with pytest.raises(ValueError, match="the context is for 1 × 3 frames, the latents are 1 × 4"):
            unet(**(inputs() | {"context": context}))
    with pytest.raises(ValueError, match="use_relative_position"):
        UNetConfiguration.of({"model_channels": 32, "use_relative_position": True})


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.06), (torch.float16, 0.008)])
def test_half_precision_is_near_and_keeps_the_embedding_of_time_in_float32(dtype: torch.dtype, bound: float) -> None:
    given = inputs(samples=2)
    exact = tiny()(**given)
    unet = UNet(TINY)
    fill(unet, "model.diffusion_model.")
    out = unet.compute_in(dtype).for_inference()(**given)
    assert out.dtype == torch.float32
    assert unet.time_embed[0].weight.dtype == unet.fps_embedding[2].weight.dtype == torch.float32
    assert unet.middle_block[0].in_layers[2].weight.dtype == unet.dtype == dtype
    assert 0 < (out - exact).abs().max() / exact.abs().max() < bound
