"""The parts of a model: under which names their tensors are published, and the networks they belong to."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import nn

from animegen_tooncrafter.checkpoint.configuration import ModelConfiguration
from animegen_tooncrafter.conditioning.image import ImageTower
from animegen_tooncrafter.conditioning.towers import IMAGE_LEFTOVERS, TEXT_LEFTOVERS
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.sketch_encoder import SketchEncoder
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_torch.diffusion.text import TextTower
from animegen_torch.placement.source import Blueprint

PREFIXES = {
    "text": "cond_stage_model.",
    "image": "embedder.",
    "projector": "image_proj_model.",
    "unet": "model.diffusion_model.",
    "first_stage": "first_stage_model.",
    "sketch": "control_model.",
}
"""What stands before the names of a part's tensors in a whole file; the sketch encoder's own file has nothing there."""
PARTS = tuple(PREFIXES)
OPTIONAL = ("sketch",)
"""Parts that a clip can be drawn without."""

_MAKE: dict[str, Callable[[ModelConfiguration], nn.Module]] = {
    "text": lambda c: TextTower(c.text),
    "image": lambda c: ImageTower(c.image),
    "projector": lambda c: Resampler(c.resampler),
    "unet": lambda c: UNet(c.unet),
    "first_stage": lambda c: FirstStage(c.first_stage),
    "sketch": lambda c: SketchEncoder(c.sketch),
}
_KEEP_FLOAT32 = {"unet": ("time_embed.", "fps_embedding."), "sketch": ("time_embed.",)}
_LEFTOVERS = {
    "text": TEXT_LEFTOVERS[:1],
    "image": IMAGE_LEFTOVERS,
    # The losses that an autoencoder was trained with.
    "first_stage": (r"loss\.",),
}


def new_part(part: str, configuration: ModelConfiguration) -> nn.Module:
    """The network of one of `PARTS`, with torch's own random parameters; under ``torch.device("meta")`` with none."""
    return _MAKE[part](configuration)


def keeps_float32(part: str, name: str) -> bool:
    """Whether a tensor stays float32 in a network of half precision; the same as the networks' `compute_in`."""
    return name.startswith(_KEEP_FLOAT32.get(part, ()))


def layer_of(name: str) -> str:
    """The layer of the U-Net that a tensor belongs to: ``input_blocks.4.1``, ``middle_block.0``, ``out``, ...

    A layer is a residual block, a transformer, or a step between sizes: no residual reaches out of it.
    """
    first, *rest = name.split(".")
    if first in ("input_blocks", "output_blocks"):
        return ".".join((first, *rest[:2]))
    return ".".join((first, rest[0])) if first in ("middle_block", "init_attn") else first


BLUEPRINT = Blueprint(PARTS, new_part, keeps_float32, layer_of)


def is_leftover(part: str, name: str, configuration: ModelConfiguration) -> bool:
    """Whether a published file has a tensor of this name in the part, which nothing here needs."""
    patterns = _LEFTOVERS.get(part, ())
    if part == "text":  # the last block: see `TextTower`
        patterns = (*patterns, rf"model\.transformer\.resblocks\.{configuration.text.layers - 1}\.")
    return any(re.match(pattern, name) for pattern in patterns)
