"""The three parts of the model, and the sizes of each as its files show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from animegen_seine.network.architecture import UNetConfiguration
from animegen_seine.network.unet import UNet
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.pictures import Autoencoder
from animegen_torch.diffusion.text import TextConfiguration, TextTower
from animegen_torch.placement.source import Blueprint

PARTS = ("text", "unet", "first_stage")
CLIP_L = TextConfiguration(width=768, heads=12, layers=12, unused=0, quick_gelu=True)
"""The text tower of CLIP ViT-L/14, with all of its blocks."""
GROUPS = 32
"""Of group norms, which no tensor shows."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class ModelConfiguration:
    """Sizes of all parts; the defaults are those of the published model."""

    unet: UNetConfiguration = field(default_factory=UNetConfiguration)
    first_stage: FirstStageConfiguration = field(default_factory=FirstStageConfiguration)
    text: TextConfiguration = CLIP_L


def new_part(part: str, configuration: ModelConfiguration) -> nn.Module:
    """The network of one of `PARTS`."""
    if part == "text":
        return TextTower(configuration.text)
    return UNet(configuration.unet) if part == "unet" else Autoencoder(configuration.first_stage)


def keeps_float32(part: str, name: str) -> bool:
    """Whether a tensor stays float32 in a network of half precision; the same as `UNet.compute_in`."""
    return part == "unet" and name.startswith("time_embedding.")


def layer_of(name: str) -> str:
    """The layer of the U-Net that a tensor belongs to: ``down_blocks.0.attentions.1``, ``mid_block.resnets.0``, ..."""
    words = name.split(".")
    depth = {"down_blocks": 4, "up_blocks": 4, "mid_block": 3}.get(words[0], 1)
    return ".".join(words[:depth])


BLUEPRINT = Blueprint(PARTS, new_part, keeps_float32, layer_of)


def unet_sizes(shapes: Shapes) -> UNetConfiguration:
    """The sizes of a U-Net from its tensors.

    Raises:
        KeyError, ValueError: They are not those of one.
    """
    first = "down_blocks.0.attentions.0.transformer_blocks.0"
    levels = 1 + max(int(match[1]) for name in shapes if (match := re.match(r"down_blocks\.(\d+)\.", name)))
    layers = [name for name in shapes if re.fullmatch(r"down_blocks\.0\.resnets\.\d+\.conv1\.weight", name)]
    return UNetConfiguration(
        in_channels=shapes["conv_in.weight"][1],
        out_channels=shapes["conv_out.weight"][0],
        widths=tuple(shapes[f"down_blocks.{level}.resnets.0.conv1.weight"][0] for level in range(levels)),
        layers=len(layers),
        context=shapes[f"{first}.attn2.to_k.weight"][1],
        heads=shapes[f"{first}.attn_temp.time_rel_pos_bias.relative_attention_bias.weight"][1],
        groups=GROUPS,
    )
