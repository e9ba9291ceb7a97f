"""Golden cases of the U-Net, its layers, the image projector, the sampler on the U-Net and the training loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.context import split_context
from animegen_tooncrafter.diffusion.layers import Downsample, Upsample
from animegen_tooncrafter.diffusion.resblock import ResBlock, TemporalConvs
from animegen_tooncrafter.diffusion.transformer import SpatialTransformer, TemporalTransformer
from animegen_tooncrafter.diffusion.unet import INIT_HEADS, UNet


def tensors(case: GoldenCase) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in case.arrays.items()}


@cache
def seeded_unet(configuration: UNetConfiguration, prefix: str) -> UNet:
    network = UNet(configuration)
    seeded_weights.fill(network, prefix)
    return network.for_inference()


def unet_of(case: GoldenCase) -> UNet:
    return seeded_unet(UNetConfiguration.of(case.configuration["config"]), case.prefix)


@torch.inference_mode()
def unet(case: GoldenCase) -> Mapping[str, Any]:
    """``out``, and ``h.<name of a block>`` as that block gives it."""
    network, given = unet_of(case), tensors(case)
    outputs: dict[str, Any] = {}
    hooks = []

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, args, out: outputs.update({name: out.clone()})

    for name in case.names("h.*"):
        hooks.append(network.get_submodule(name.removeprefix("h.")).register_forward_hook(keep(name)))
    try:
        outputs["out"] = network(given["x"], given["timesteps"], given["context"], given.get("fs"))
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def layer(make: Callable[[dict[str, Any]], nn.Module], run: Callable[[Any, dict[str, Tensor], int], Tensor]) -> Any:
    """A runner of one layer of ``blocks.npz``: how it is made from the sizes, and how it is called."""

    @torch.inference_mode()
    def one(case: GoldenCase, prefix: str) -> Tensor:
        sizes = case.configuration["config"]
        module = make(sizes).eval()
        seeded_weights.fill(module, prefix)
        return run(module, tensors(case), sizes["t"])

    return one


def as_video(x: Tensor, frames: int) -> Tensor:
    """(B·T, C, H, W) -> (B, C, T, H, W), the form temporal layers have in the file."""
    return x.unflatten(0, (-1, frames)).transpose(1, 2)


def spatial(module: SpatialTransformer, given: dict[str, Tensor], frames: int) -> Tensor:
    text, image = split_context(given["context"], 1)
    return module(given["x"], module.keys(text, image))


LAYERS = {
    "resblock_same_notemporal": layer(
        lambda s: ResBlock(s["C"], s["C"], s["emb"], temporal=False), lambda m, g, t: m(g["x"], g["emb"], t)
    ),
    "resblock_widen_temporal": layer(
        lambda s: ResBlock(s["C"], 2 * s["C"], s["emb"]), lambda m, g, t: m(g["x"], g["emb"], t)
    ),
    "temporal_conv": layer(lambda s: TemporalConvs(s["C"]), lambda m, g, t: as_video(m(g["x"], t), t)),
    "spatial_transformer": layer(lambda s: SpatialTransformer(s["C"], s["heads"], s["context_dim"]), spatial),
    "temporal_transformer_linear": layer(
        lambda s: TemporalTransformer(s["C"], s["heads"], s["dim_head"]), lambda m, g, t: as_video(m(g["x"], t), t)
    ),
    "temporal_transformer_conv1d": layer(
        lambda s: TemporalTransformer(s["C"], INIT_HEADS, s["dim_head"], pointwise=True),
        lambda m, g, t: as_video(m(g["x"], t), t),
    ),
    "downsample": layer(lambda s: Downsample(s["C"]), lambda m, g, t: m(g["x"])),
    "upsample": layer(lambda s: Upsample(s["C"]), lambda m, g, t: m(g["x"])),
}

RUNNERS = {"unet": unet}
