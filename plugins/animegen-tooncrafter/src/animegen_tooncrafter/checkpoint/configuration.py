"""The sizes of a model, seen from the shapes of its tensors.

All sizes can be seen but the widths of attention heads, of which a weight's shape shows only the product with their
number. For these there are rules, in `head_widths`, and whoever knows better can say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from animegen_tooncrafter.conditioning.towers import ImageConfiguration
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.resampler import ResamplerConfiguration
from animegen_tooncrafter.diffusion.schedule import ScheduleConfiguration
from animegen_tooncrafter.diffusion.sketch_encoder import PUBLISHED as PUBLISHED_SKETCH
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.published import autoencoder_sizes
from animegen_torch.diffusion.text import TextConfiguration

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of a part's tensors, by the names of our networks."""

HEAD_WIDTH = 64
"""Of nearly everything; OpenCLIP's larger image towers are the exception:"""
IMAGE_HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104, 1792: 112}
"""Width of a head by width of OpenCLIP's image tower (ViT-H, ViT-g, ViT-bigG, ViT-e)."""
INIT_HEADS = 8
"""Heads of the U-Net's first attention over time, whatever its width: there the width of a head can be seen."""


@dataclass(frozen=True)
class ModelConfiguration:
    """Sizes of all parts; the defaults are those of the published 512 model."""

    unet: UNetConfiguration = field(default_factory=UNetConfiguration)
    first_stage: FirstStageConfiguration = field(default_factory=FirstStageConfiguration)
    text: TextConfiguration = field(default_factory=TextConfiguration)
    image: ImageConfiguration = field(default_factory=ImageConfiguration)
    resampler: ResamplerConfiguration = field(default_factory=ResamplerConfiguration)
    sketch: UNetConfiguration = PUBLISHED_SKETCH
    schedule: ScheduleConfiguration = field(default_factory=ScheduleConfiguration)


def head_widths(parts: Mapping[str, Shapes], known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Width of an attention head, by part.

    That of the U-Net is seen from its first attention over time, which has 8 heads; text tower, projector and sketch
    encoder share it. Without a U-Net it is 64. The image tower's follows from its width as in OpenCLIP
    (`IMAGE_HEAD_WIDTHS`), and is otherwise the U-Net's. `known` overrides any of them.
    """
    unet = parts.get("unet", {})
    first = unet.get("init_attn.0.proj_in.weight", (INIT_HEADS * HEAD_WIDTH,))[0]
    width = first // INIT_HEADS
    image = parts.get("image", {}).get("model.visual.conv1.weight", (0,))[0]
    rules = {"image": IMAGE_HEAD_WIDTHS.get(image, width)}
    return {
        **{part: rules.get(part, width) for part in ("unet", "text", "image", "projector", "sketch")},
        **(known or {}),
    }


def configuration_of(parts: Mapping[str, Shapes], heads: Mapping[str, int] | None = None) -> ModelConfiguration:
    """The sizes of a model from the shapes of its parts; parts that are not there are taken to be the published ones.

    Raises:
        KeyError, ValueError, IndexError, ZeroDivisionError: The shapes are not those of such a model.
    """
    widths = head_widths(parts, heads)
    found: dict[str, object] = {}
    if "unet" in parts:
        found["unet"] = unet_of(parts["unet"], widths["unet"])
    if "sketch" in parts:
        found["sketch"] = unet_of(parts["sketch"], widths["sketch"], dropout=0.0)
    if "first_stage" in parts:
        found["first_stage"] = autoencoder_sizes(parts["first_stage"])
    if "text" in parts:
        found["text"] = text_of(parts["text"], widths["text"])
    if "image" in parts:
        found["image"] = image_of(parts["image"], widths["image"])
    if "projector" in parts:
        found["resampler"] = resampler_of(parts["projector"], widths["projector"])
    return ModelConfiguration(**found)  # type: ignore[arg-type]


def unet_of(shapes: Shapes, head_width: int, *, dropout: float = UNetConfiguration.dropout) -> UNetConfiguration:
    """Of the U-Net, or of the sketch encoder, which has the same way down."""
    width, channels = shapes["input_blocks.0.0.weight"][:2]
    levels: list[list[int]] = [[]]
    attended: set[int] = set()
    index = 1
    while any(f"input_blocks.{index}.0.{name}.weight" in shapes for name in ("op", "in_layers.2")):
        if f"input_blocks.{index}.0.op.weight" in shapes:
            levels.append([])
        else:
            levels[-1].append(shapes[f"input_blocks.{index}.0.in_layers.2.weight"][0])
            if f"input_blocks.{index}.1.proj_in.weight" in shapes:
                attended.add(2 ** (len(levels) - 1))
        index += 1
    return UNetConfiguration(
        in_channels=channels,
        out_channels=shapes.get("out.2.weight", (UNetConfiguration.out_channels,))[0],
        model_channels=width,
        num_res_blocks=len(levels[0]),
        attention_resolutions=tuple(sorted(attended, reverse=True)),
        channel_mult=tuple(level[-1] // width for level in levels),
        num_head_channels=head_width,
        context_dim=shapes["middle_block.1.transformer_blocks.0.attn2.to_k.weight"][1],
        dropout=dropout,
    )


def text_of(shapes: Shapes, head_width: int) -> TextConfiguration:
    """Of OpenCLIP's text tower, the block that is not used counted."""
    words, width = shapes["model.token_embedding.weight"]
    return TextConfiguration(
        width=width,
        heads=width // head_width,
        layers=count(shapes, r"model\.transformer\.resblocks\.(\d+)\."),
        vocab_size=words,
        context_length=shapes["model.positional_embedding"][0],
    )


def image_of(shapes: Shapes, head_width: int) -> ImageConfiguration:
    """Of OpenCLIP's image tower."""
    width, _, patch, _ = shapes["model.visual.conv1.weight"]
    side = round((shapes["model.visual.positional_embedding"][0] - 1) ** 0.5)
    return ImageConfiguration(
        width=width,
        head_width=head_width,
        layers=count(shapes, r"model\.visual\.transformer\.resblocks\.(\d+)\."),
        patch_size=patch,
        image_size=side * patch,
        mlp_ratio=shapes["model.visual.transformer.resblocks.0.mlp.c_fc.weight"][0] / width,
    )


def resampler_of(shapes: Shapes, head_width: int) -> ResamplerConfiguration:
    """Of the image projector. Queries for each frame are 16, as the U-Net takes them."""
    _, queries, width = shapes["latents"]
    output, _ = shapes["proj_out.weight"]
    return ResamplerConfiguration(
        dim=width,
        depth=count(shapes, r"layers\.(\d+)\."),
        dim_head=head_width,
        heads=shapes["layers.0.0.to_q.weight"][0] // head_width,
        embedding_dim=shapes["proj_in.weight"][1],
        output_dim=output,
        ff_mult=shapes["layers.0.1.1.weight"][0] // width,
        video_length=queries // ResamplerConfiguration.num_queries,
    )


def count(shapes: Shapes, pattern: str) -> int:
    """One more than the highest number that stands in names where `pattern` has its group."""
    return 1 + max(int(match[1]) for match in (re.match(pattern, name) for name in shapes) if match)
