"""Golden cases of the U-Net, its layers, the image projector, the sampler on the U-Net and the training loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_tooncrafter.diffusion import objective
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.ddim import DDIM
from animegen_tooncrafter.diffusion.denoiser import Denoiser
from animegen_tooncrafter.diffusion.resampler import Resampler, ResamplerConfiguration
from animegen_tooncrafter.diffusion.resblock import ResBlock, TemporalConvs
from animegen_tooncrafter.diffusion.sampler import sample
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.tokens import split_context
from animegen_tooncrafter.diffusion.transformer import SpatialTransformer, TemporalTransformer
from animegen_tooncrafter.diffusion.unet import INIT_HEADS, UNet
from animegen_torch.diffusion.guidance import CONDITIONAL, IMAGE_ONLY, UNCONDITIONAL, Guidance
from animegen_torch.diffusion.layers import Downsample, Upsample
from animegen_torch.diffusion.sampling import Step


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

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, args, out: outputs.update({name: out.clone()})

    hooks = [
        network.get_submodule(name.removeprefix("h.")).register_forward_hook(keep(name)) for name in case.names("h.*")
    ]
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


class Recorded:
    """The draws that a golden run used, handed out again in their order."""

    def __init__(self, given: dict[str, Tensor]) -> None:
        self.given, self.steps = given, 0

    def posterior(self, shape: tuple[int, ...]) -> Tensor:
        raise AssertionError("sampling draws no noise for the encoder")

    def start(self, shape: tuple[int, ...]) -> Tensor:
        return self.given["x_T"]

    def step(self, shape: tuple[int, ...]) -> Tensor:
        self.steps += 1
        return self.given[f"noise.{self.steps - 1}"]


BRANCHES = {CONDITIONAL: "cond", UNCONDITIONAL: "uncond", IMAGE_ONLY: "uncond_img_notext"}


def sampler(case: GoldenCase) -> Mapping[str, Any]:
    """``out``, and ``x.<i>`` and ``pred_x0.<i>`` after each step."""
    network, given, settings = unet_of(case), tensors(case), case.configuration["sampler"]
    schedule = Schedule.compute()
    tables = DDIM.of(schedule, settings["S"], settings["spacing"], settings["eta"])
    image_scale = None
    if settings["multiple_cond"]:
        image_scale = settings["cfg_scale"] if settings["cfg_img"] is None else settings["cfg_img"]
    guidance = Guidance(settings["cfg_scale"], settings["guidance_rescale"], image_scale)
    tokens = {branch: given[name] for branch, name in BRANCHES.items() if name in given}
    outputs: dict[str, Any] = {}

    def keep(step: Step) -> None:
        outputs[f"x.{step.number - 1}"] = step.latents.clone()
        outputs[f"pred_x0.{step.number - 1}"] = step.x0.clone()

    predict = Denoiser(network, tokens, given["concat"], int(given["fs"]))
    shape = tuple(given["x_T"].shape)
    outputs["out"] = sample(predict, shape, schedule, tables, Recorded(given), guidance, on_step=keep)
    return {name: value for name, value in outputs.items() if name in case.arrays}


@torch.inference_mode()
def resampler(case: GoldenCase) -> Mapping[str, Any]:
    """``out``, of which the file may hold every n-th channel."""
    network = Resampler(ResamplerConfiguration(**case.configuration["config"])).eval()
    seeded_weights.fill(network, case.prefix)
    return {"out": network(tensors(case)["x"])[..., :: case.configuration.get("out_channel_stride", 1)]}


def train_loss(case: GoldenCase) -> Mapping[str, Any]:
    """The loss and the latents on the way to it."""
    network = UNet(UNetConfiguration.of(case.configuration["config"])).eval()
    seeded_weights.fill(network, case.prefix)
    given = tensors(case)
    made = objective.example(Schedule.compute(), given["x0"], given["noise"], given["t"])
    loss = objective.loss(network, made, given["concat"], given["cond"], given["fs"])
    return {"x0_rescaled": made.x0, "x_noisy": made.noisy, "target": made.target, "loss": loss.detach()}


RUNNERS = {
    "unet": unet,
    "resampler": resampler,
    "sampler": sampler,
    "train_loss": train_loss,
}
