"""Golden cases of the autoencoder and of its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.decoder import OutputConv, VideoBlock
from animegen_tooncrafter.first_stage.reference import Combiner, ReferenceAttention
from animegen_tooncrafter.first_stage.streams import Statistics, TimeStream
from animegen_tooncrafter.first_stage.sweeps import Chunking, Sweeps
from animegen_torch.diffusion.autoencoder.architecture import SCALE_FACTOR, FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.blocks import MiddleAttention

CHUNKS = (Chunking(), Chunking(frames=1), Chunking(frames=3, recompute=True, offload=True))


@cache
def seeded(configuration: FirstStageConfiguration, prefix: str) -> FirstStage:
    network = FirstStage(configuration)
    seeded_weights.fill(network, prefix)
    return network.eval()


def network_of(case: GoldenCase) -> FirstStage:
    settings = case.configuration
    return seeded(FirstStageConfiguration.of(settings["config"], settings["embed_dim"]), case.prefix)


def tensors(case: GoldenCase) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in case.arrays.items()}


@torch.no_grad()
def encoder(case: GoldenCase) -> Mapping[str, Any]:
    network, given = network_of(case), tensors(case)
    posterior, hidden = network.encode(given["x"])
    z = posterior.sample(given["eps"])
    outputs = {"mean": posterior.mean, "logvar": posterior.logvar, "std": posterior.std, "z": z}
    outputs["z_scaled"] = SCALE_FACTOR * z
    return outputs | {f"hidden.{i}": one for i, one in enumerate(hidden)}


@torch.no_grad()
def decoder(case: GoldenCase) -> None:
    """Every layer kept in the file, and ``out``: all frames at once, and in pieces."""
    network, given = network_of(case), tensors(case)
    references = None
    if "ref.0" in given:
        features = tuple(given[f"ref.{i}"][0].transpose(0, 1) for i in range(5))
        references = network.references(features)
    for chunking in CHUNKS:
        seen: dict[str, list[Tensor]] = {}

        def watch(name: str, start: int, frames: Tensor, seen: dict[str, list[Tensor]] = seen) -> None:
            assert start == sum(map(len, seen.setdefault(name, [])))
            seen[name].append(frames.clone())

        out = Sweeps(network.decoder, references, chunking, watch).run(given["z"])
        for name in case.names("h.*"):
            last = f"block.{case.configuration['config']['num_res_blocks']}"
            case.compare(name, torch.cat(seen[name.removeprefix("h.").replace("last_block", last)]))
        case.compare("out", out)


def layer(make: Callable[[int], nn.Module], run: Callable[[Any, dict[str, Tensor], int], Tensor]) -> Any:
    """A runner of one layer of ``blocks.npz``: how it is made from its width, and how it is called."""

    @torch.no_grad()
    def one(case: GoldenCase, prefix: str) -> Tensor:
        sizes = case.configuration["config"]
        module = make(sizes["C"]).eval()
        seeded_weights.fill(module, prefix)
        given = tensors(case)
        given["ref"] = given["ref"][0].transpose(0, 1)
        given["x"] = given["x"].clone()  # some layers write over it
        return run(module, given, sizes["t"])

    return one


def time_stack(block: VideoBlock, s: Tensor) -> Tensor:
    """A block's time stack on all frames of a clip."""
    h = s
    for norm, conv in zip(block.time_stack.norms, block.time_stack.convolutions, strict=True):
        statistics = Statistics(h.device)
        statistics.add(h)
        h = TimeStream(statistics.affine(norm), conv).push(h, last=True)
    return s + block.share * h


LAYERS = {
    "combiner": layer(Combiner, lambda m, g, t: m(g["x"], m.prepare(g["ref"]), 0, t)),
    "fusion_attn": layer(ReferenceAttention, lambda m, g, t: m(g["x"], m.prepare(g["ref"]), 0, t)),
    "video_resblock": layer(lambda c: VideoBlock(c, 2 * c), lambda m, g, t: time_stack(m, m(g["x"]))),
    "ae3dconv": layer(lambda c: OutputConv(c, 3), lambda m, g, t: m.mix(m(g["x"]))),
    "vae_mid_attn": layer(MiddleAttention, lambda m, g, t: m(g["x"])),
}

RUNNERS = {"vae_encoder": encoder, "vae_decoder": decoder}
