"""Sizes of a model before it is loaded: from what its files list, or from networks made without memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from animegen_tooncrafter.checkpoint import PARTS, Checkpoint, ModelConfiguration, new_part
from animegen_tooncrafter.placement.demands import Sizes


def sizes_of(checkpoint: Checkpoint) -> Sizes:
    """Of what files hold; parts that they lack are taken to be of the sizes that go with the rest."""
    return _sizes(
        {
            part: {name: one.elements for name, one in checkpoint.parts[part].tensors.items()}
            if part in checkpoint.parts
            else _made(part, checkpoint.model)
            for part in PARTS
        },
        checkpoint.model,
    )


def sizes_for(model: ModelConfiguration) -> Sizes:
    """Of a configuration."""
    return _sizes({part: _made(part, model) for part in PARTS}, model)


def layer_of(name: str) -> str:
    """The layer of the U-Net that a tensor belongs to: ``input_blocks.4.1``, ``middle_block.0``, ``out``, ...

    A layer is a residual block, a transformer, or a step between sizes: no residual reaches out of it.
    """
    first, *rest = name.split(".")
    if first in ("input_blocks", "output_blocks"):
        return ".".join((first, *rest[:2]))
    return ".".join((first, rest[0])) if first in ("middle_block", "init_attn") else first


def _made(part: str, model: ModelConfiguration) -> dict[str, int]:
    with torch.device("meta"):
        network = new_part(part, model)
    return {name: tensor.numel() for name, tensor in network.state_dict().items()}


def _sizes(numbers: Mapping[str, Mapping[str, int]], model: ModelConfiguration) -> Sizes:
    layers: dict[str, int] = {}
    for name, count in numbers["unet"].items():
        layers[layer_of(name)] = layers.get(layer_of(name), 0) + count
    total = {part: sum(tensors.values()) for part, tensors in numbers.items()}
    return Sizes(total, layers, max(numbers["unet"].values()), model.unet, model.first_stage)
