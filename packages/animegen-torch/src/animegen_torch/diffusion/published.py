"""Names that parts of Stable Diffusion are published under, brought to those of the networks here.

Each function gives, for a name of ours, the published tensors it is made of: one, or several that are put behind one
another (`Made`). Sizes may differ by sides of length one: old files keep 1x1 convolutions as matrices, and the other
way round.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import torch
from torch import Tensor

from animegen_torch.diffusion.autoencoder.architecture import LEVELS, FirstStageConfiguration
from animegen_torch.diffusion.text import TextConfiguration

Made = Mapping[str, tuple[str, ...]]
"""For each of our names the published ones."""

_ATTENTION = {
    "norm": ("group_norm",),
    "q": ("to_q", "query"),
    "k": ("to_k", "key"),
    "v": ("to_v", "value"),
    "proj_out": ("to_out.0", "proj_attn"),
}
_RESNET = {"nin_shortcut": "conv_shortcut"}
CLIP_LEFTOVERS = r"(.*\.)?(embeddings\.position_ids|text_projection\.weight|logit_scale)$"
"""Names in files of transformers' CLIP that a text tower does not need."""
CLIP_HEAD_WIDTH = 64
Shapes = Mapping[str, tuple[int, ...]]


def autoencoder_made(wanted: Iterable[str], there: Collection[str]) -> Made:
    """For the names of `autoencoder.pictures.Autoencoder`, those of a file: latent diffusion's own, or diffusers'."""
    return {name: (next((one for one in _autoencoder_names(name) if one in there), name),) for name in wanted}


def autoencoder_sizes(shapes: Shapes) -> FirstStageConfiguration:
    """The sizes of an autoencoder, seen from its published tensors.

    Raises:
        KeyError, ZeroDivisionError: They are not those of one.
    """

    def shape(name: str) -> tuple[int, ...]:
        return shapes[next((one for one in _autoencoder_names(name) if one in shapes), name)]

    def blocks() -> Iterator[int]:
        number = 0
        while any(one in shapes for one in _autoencoder_names(f"encoder.down.0.block.{number}.conv1.weight")):
            yield number
            number += 1

    ch, channels = shape("encoder.conv_in.weight")[:2]
    return FirstStageConfiguration(
        ch=ch,
        ch_mult=tuple(shape(f"encoder.down.{level}.block.0.conv1.weight")[0] // ch for level in range(LEVELS)),
        num_res_blocks=len(list(blocks())),
        z_channels=shape("encoder.conv_out.weight")[0] // 2,
        embed_dim=shape("quant_conv.weight")[0] // 2,
        in_channels=channels,
        out_ch=shape("decoder.conv_out.weight")[0],
    )


def clip_text_sizes(shapes: Shapes) -> TextConfiguration:
    """The sizes of the text tower of a CLIP that OpenAI published, in the form of transformers; all of it is used.

    Raises:
        KeyError, ValueError: The tensors are not those of one.
    """
    words, width = shapes["text_model.embeddings.token_embedding.weight"]
    numbers = (re.match(r"text_model\.encoder\.layers\.(\d+)\.", name) for name in shapes)
    return TextConfiguration(
        width=width,
        heads=width // CLIP_HEAD_WIDTH,
        layers=1 + max(int(match[1]) for match in numbers if match),
        vocab_size=words,
        context_length=shapes["text_model.embeddings.position_embedding.weight"][0],
        unused=0,
        quick_gelu=True,
    )


def _autoencoder_names(name: str) -> list[str]:
    """Names under which a tensor may be published, our own (latent diffusion's) first."""
    side, _, rest = name.partition(".")
    if side not in ("encoder", "decoder"):
        return [name]
    if match := re.fullmatch(r"(down|up)\.(\d+)\.block\.(\d+)\.(\w+)\.(\w+)", rest):
        way, level, block, layer, kind = match.groups()
        number = int(level) if way == "down" else LEVELS - 1 - int(level)
        return [name, f"{side}.{way}_blocks.{number}.resnets.{block}.{_RESNET.get(layer, layer)}.{kind}"]
    if match := re.fullmatch(r"(down|up)\.(\d+)\.(downsample|upsample)\.(.+)", rest):
        way, level, layer, kind = match.groups()
        number = int(level) if way == "down" else LEVELS - 1 - int(level)
        return [name, f"{side}.{way}_blocks.{number}.{layer}rs.0.{kind}"]
    if match := re.fullmatch(r"mid\.block_(\d)\.(.+)", rest):
        return [name, f"{side}.mid_block.resnets.{int(match[1]) - 1}.{match[2]}"]
    if match := re.fullmatch(r"mid\.attn_1\.(\w+)\.(\w+)", rest):
        return [name, *(f"{side}.mid_block.attentions.0.{one}.{match[2]}" for one in _ATTENTION[match[1]])]
    if rest.startswith("norm_out."):
        return [name, f"{side}.conv_{rest}"]
    return [name]


def text_made(wanted: Iterable[str], there: Collection[str]) -> Made:
    """For the names of `text.TextTower`, those of a file: OpenCLIP's own, or those of transformers' CLIP."""
    if "text_model.final_layer_norm.weight" not in there:
        return {name: (name,) for name in wanted}
    return {name: _transformers_names(name.removeprefix("model.")) for name in wanted}


def _transformers_names(name: str) -> tuple[str, ...]:
    top = {
        "token_embedding.weight": "embeddings.token_embedding.weight",
        "positional_embedding": "embeddings.position_embedding.weight",
        "ln_final.weight": "final_layer_norm.weight",
        "ln_final.bias": "final_layer_norm.bias",
    }
    if name in top:
        return (f"text_model.{top[name]}",)
    match = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", name)
    if match is None:
        return (name,)
    layer, rest = f"text_model.encoder.layers.{match[1]}", match[2]
    if rest.startswith("attn.in_proj_"):
        kind = rest.removeprefix("attn.in_proj_")
        return tuple(f"{layer}.self_attn.{one}_proj.{kind}" for one in "qkv")
    for ours, theirs in (
        ("attn.out_proj.", "self_attn.out_proj."),
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ):
        if rest.startswith(ours):
            return (f"{layer}.{theirs}{rest.removeprefix(ours)}",)
    return (name,)


def joined(tensors: Mapping[str, Tensor], made: tuple[str, ...], shape: tuple[int, ...]) -> Tensor:
    """The tensor that is made of several; a view where it is made of one."""
    parts = [tensors[name] for name in made]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(shape)
