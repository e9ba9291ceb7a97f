"""The sketch encoder: its size, and which frames a sketch changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from animegen_testing.seeded_weights import fill
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.denoiser import Denoiser
from animegen_tooncrafter.diffusion.sketch_encoder import SketchEncoder, SketchGuide
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL

SIZES = {
    "model_channels": 32,
    "num_res_blocks": 1,
    "attention_resolutions": (2, 1),
    "channel_mult": (1, 2),
    "num_head_channels": 16,
    "context_dim": 64,
}
FRAMES = 5
BOTH = (CONDITIONAL, UNCONDITIONAL)


def encoder(*, trained: bool = True) -> SketchEncoder:
    made = SketchEncoder(UNetConfiguration(in_channels=4, **SIZES))
    state = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    fill(made, "control_model.")
    if not trained:  # all but the zero convolutions, which stay as a new one has them
        zero = {name: state[name] for name in state if name.startswith(("zero_convs", "middle_block_out"))}
        made.load_state_dict(zero, strict=False)
    return made.for_inference()


def unet() -> UNet:
    made = UNet(UNetConfiguration(**SIZES))
    fill(made, "model.diffusion_model.")
    return made.for_inference()


def drawing(seed: int = 0) -> Tensor:
    return (torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(seed)) > 0.8).float()


def prediction(network: UNet, guide: SketchGuide | None, *, together: bool = True) -> Tensor:
    """(2, 4, T, h, w): both branches of one step."""
    generator = torch.Generator().manual_seed(1)
    tokens = {name: torch.randn(1, 77 + 32, 64, generator=generator) for name in BOTH}
    keyframes, x = torch.randn(2, 1, 4, FRAMES, 8, 8, generator=generator)
    denoise = Denoiser(network, tokens, keyframes, 10, together=together, sketch=guide)
    return torch.cat([denoise(x, 601, BOTH)[name] for name in BOTH])


def changed(a: Tensor, b: Tensor) -> list[int]:
    return ((a - b).abs().amax((0, 1, 3, 4)) > 1e-4).nonzero().flatten().tolist()


def test_the_real_size_is_that_of_the_published_file() -> None:
    with torch.device("meta"):
        real = SketchEncoder()
    elements = sum(parameter.numel() for parameter in real.parameters())
    assert elements * 2 == pytest.approx(728e6, rel=2e-3)  # bytes of the float16 file
    assert len(real.input_blocks) == len(real.zero_convs) == 12
    stem = [layer for layer in real.input_hint_block if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.in_channels for layer in stem] == [1, 16, 16, 32, 32, 96, 96, 256]
    assert stem[-1].out_channels == 320
    assert sorted(name for name, _ in real.named_children()) == sorted(
        ["time_embed", "input_blocks", "zero_convs", "input_hint_block", "middle_block", "middle_block_out"]
    )


@torch.inference_mode()
def test_residuals_fit_the_unet() -> None:
    made = encoder()
    context = made.prepare(torch.randn(2, 100, 64))
    hint = made.hint(torch.stack([drawing(), drawing(1)]))
    assert hint.shape == (2, 32, 8, 8)
    control = made(torch.randn(2, 4, FRAMES, 8, 8), torch.tensor([601, 601]), context, hint, (1, 3))
    assert [tuple(skip.shape) for skip in control.skips] == [(4, 32, 8, 8), (4, 32, 8, 8), (4, 32, 4, 4), (4, 64, 4, 4)]
    assert control.middle.shape == (4, 64, 4, 4)


def test_a_new_encoder_and_a_scale_of_zero_change_nothing() -> None:
    network = unet()
    before = prediction(network, None)
    new = SketchGuide.of(encoder(trained=False), {2: drawing()})
    assert torch.equal(prediction(network, new), before)
    off = SketchGuide.of(encoder(), {2: drawing()}, scale=0.0)
    assert torch.equal(prediction(network, off), before)


@pytest.mark.parametrize("frames", [(2,), (0, 4), (1, 2, 3), tuple(range(FRAMES))])
def test_a_sketch_changes_its_frames_and_through_time_the_others(frames: tuple[int, ...]) -> None:
    network = unet()
    guide = SketchGuide.of(encoder(), {frame: drawing(frame) for frame in frames})
    network.temporal = False
    assert changed(prediction(network, guide), prediction(network, None)) == list(frames)
    network.temporal = True
    assert changed(prediction(network, guide), prediction(network, None)) == list(range(FRAMES))


def test_each_frame_is_steered_by_its_own_sketch_whatever_the_order_given() -> None:
    network, sketches = unet(), {3: drawing(3), 1: drawing(1)}
    network.temporal = False
    made = encoder()
    both = prediction(network, SketchGuide.of(made, sketches))
    for frame in (1, 3):
        alone = prediction(network, SketchGuide.of(made, {frame: sketches[frame]}))
        assert changed(both, alone) == [4 - frame]
    swapped = prediction(network, SketchGuide.of(made, {1: sketches[3], 3: sketches[1]}))
    assert changed(both, swapped) == [1, 3]
    weak = prediction(network, SketchGuide.of(made, sketches, scale=0.01))
    none = prediction(network, None)
    assert (weak - none).abs().max() < (both - none).abs().max() / 5


def test_branches_together_and_apart_are_steered_alike() -> None:
    network, guide = unet(), SketchGuide.of(encoder(), {2: drawing()})
    together, apart = (prediction(network, guide, together=one) for one in (True, False))
    torch.testing.assert_close(together, apart, atol=5e-5, rtol=5e-5)
    assert (together[0] - together[1]).abs().max() > 1e-2


def test_no_sketches_are_refused() -> None:
    with pytest.raises(ValueError, match="no sketches"):
        SketchGuide.of(encoder(), {})
