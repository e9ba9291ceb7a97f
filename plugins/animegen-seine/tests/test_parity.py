"""Every part against outputs of the original on seeded weights; ``--goldens DIR`` runs the cases of another folder.

``full_unet_8x8_f4`` fills the published 909 million parameters: it takes about 5 GB and minutes, so that it is run
where ``ANIMEGEN_FULL_SIZE`` is set, or where another folder was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from animegen_seine.diffusion.masks import frame_mask, latent_mask
from animegen_seine.diffusion.schedule import Schedule, kept_timesteps, strided_timesteps
from animegen_seine.diffusion.solvers import DDIM, DDPM
from animegen_seine.network.architecture import UNetConfiguration
from animegen_seine.network.position import Turn, buckets, frequencies
from animegen_seine.network.unet import UNet
from animegen_testing.goldens import GoldenCase
from animegen_testing.seeded_weights import fill
from animegen_torch.diffusion.denoiser import Denoiser
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL, Guidance
from animegen_torch.diffusion.sampling import Step, sample

LARGE = 1 << 30


@cache
def seeded(configuration: UNetConfiguration) -> UNet:
    with torch.device("meta"):  # whose parameters torch would draw first, for nothing
        network = UNet(configuration)
    network.to_empty(device="cpu")
    fill(network)
    return network.for_inference()


def unet_of(case: GoldenCase) -> UNet:
    return seeded(UNetConfiguration.of(case.configuration["config"]))


def tensors(case: GoldenCase) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in case.arrays.items()}


@torch.inference_mode()
def unet(case: GoldenCase) -> Mapping[str, Any]:
    """``out``, and the traces on the way: blocks as (B, C, T, H, W), attention as it leaves its last layer."""
    network, given = unet_of(case), tensors(case)
    samples, _, frames, _, _ = given["x"].shape
    first = network.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0")
    outputs: dict[str, Any] = {}

    def clip(x: Tensor) -> Tensor:
        return x.view(samples, frames, *x.shape[1:]).transpose(1, 2)

    def pixels_first(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(0, 1)

    watched: dict[str, tuple[nn.Module, Any]] = {
        "trace_time_embedding": (network.time_embedding, lambda x: x),
        "trace_down0_resnet0": (network.get_submodule("down_blocks.0.resnets.0"), clip),
        "trace_down0_attn0_spatial": (first.get_submodule("attn1.to_out"), lambda x: x),
        "trace_down0_attn0_temporal": (first.get_submodule("attn_temp.to_out"), pixels_first),
        "trace_mid": (network.mid_block, clip),
    }
    for level, block in enumerate(network.down_blocks):
        watched[f"trace_down{level}"] = (block, lambda given: clip(given[-1]))

    def keep(name: str, shaped: Any) -> Any:
        return lambda module, args, out: outputs.update({name: shaped(out).clone()})

    hooks = [
        module.register_forward_hook(keep(name, shaped))
        for name, (module, shaped) in watched.items()
        if name in case.arrays
    ]
    try:
        outputs["out"] = network(given["x"], given["timestep"], given["context"])
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


class Recorded:
    """The draws that a golden run used, handed out again in their order."""

    def __init__(self, given: Mapping[str, Tensor]) -> None:
        self.given, self.steps = given, 0

    def posterior(self, shape: tuple[int, ...]) -> Tensor:
        raise AssertionError("sampling draws no noise for the encoder")

    def start(self, shape: tuple[int, ...]) -> Tensor:
        return self.given["z"]

    def step(self, shape: tuple[int, ...]) -> Tensor:
        self.steps += 1
        return self.given["noise"][self.steps - 1]


def sampler(case: GoldenCase) -> Mapping[str, Any]:
    """``samples`` after each step, and the ``timesteps``."""
    given = tensors(case)
    schedule = Schedule.of(kept_timesteps(len(given["timesteps"])))
    solver = (DDIM if case.configuration["sampler"] == "ddim" else DDPM)(schedule)
    tokens = {CONDITIONAL: given["context"][:1], UNCONDITIONAL: given["context"][1:]}
    predict = Denoiser(unet_of(case), tokens, torch.cat((given["mask"], given["masked_latents"]), 1))
    after: list[Tensor] = []

    def keep(step: Step) -> None:
        after.append(step.latents.clone())

    guidance = Guidance(float(given["cfg_scale"]), 0.0)
    sample(predict, tuple(given["z"].shape), solver, Recorded(given), guidance, on_step=keep)
    for number, ours in enumerate(after):  # the spread of each: values grow from step to step
        case.compare("samples", ours, case.arrays["samples"][number])
    return {"timesteps": np.array(schedule.timesteps)}


def schedule(case: GoldenCase) -> Mapping[str, Any]:
    """``<respacing>.<table>``."""
    outputs: dict[str, Any] = {}
    for name in case.arrays:
        spacing, table = name.split(".")
        strided = spacing.startswith("ddim")
        steps = int(spacing.removeprefix("ddim"))
        made = Schedule.of(strided_timesteps(steps) if strided else kept_timesteps(steps))
        outputs[name] = np.array(made.timesteps) if table == "timestep_map" else made.tables[table]
    return outputs


def masks(case: GoldenCase) -> Mapping[str, Any]:
    """``<kind>`` and ``<kind>_latent``."""
    height, width = (side // 8 for side in case.configuration["size"])
    frames = next(iter(case.arrays.values())).shape[0]
    outputs: dict[str, Any] = {}
    for name in case.arrays:
        mask = frame_mask(name.removesuffix("_latent"), frames)
        outputs[name] = latent_mask(mask, height, width) if name.endswith("_latent") else mask
    return outputs


def position(case: GoldenCase) -> Mapping[str, Any]:
    """Buckets of distances, and what rotary positions make of queries, both ways of turning them."""
    q = torch.from_numpy(case.arrays["q"]).transpose(1, 2)  # frames before heads
    turn = Turn(q.shape[1], torch.device("cpu"))
    with torch.no_grad():
        written_over = turn(q.clone()).transpose(1, 2)
    case.compare("q_rotated", turn(q).transpose(1, 2))
    return {"buckets16": buckets(16), "rotary_freqs": frequencies(), "q_rotated": written_over}


RUNNERS = {"unet": unet, "sampler": sampler, "schedule": schedule, "masks": masks, "position": position}


def test_parity(golden_case: GoldenCase, request: pytest.FixtureRequest) -> None:
    large = golden_case.configuration.get("bytes", 0) > LARGE
    if large and not (os.environ.get("ANIMEGEN_FULL_SIZE") or request.config.getoption("--goldens")):
        pytest.skip("takes 5 GB and minutes: set ANIMEGEN_FULL_SIZE=1")
    golden_case.run(RUNNERS)
