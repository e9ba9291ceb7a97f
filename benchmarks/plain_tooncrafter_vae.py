"""ToonCrafter's autoencoder run the plainest way, on the parameters of ours: the measure for `tooncrafter_vae`.

Whole clips through every layer, all frames encoded, attention written out with its table of weights, the keyframes'
keys and values copied for each frame, convolutions over time as three-dimensional ones, the doubled picture made
before its convolution. This is what the description says, line by line; nothing is saved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv3d, group_norm, interpolate, pad

from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.decoder import VideoBlock
from animegen_tooncrafter.first_stage.reference import HEADS, Combiner, ReferenceAttention
from animegen_torch.diffusion.autoencoder.architecture import SCALE_FACTOR
from animegen_torch.diffusion.autoencoder.blocks import MiddleAttention, ResnetBlock

Features = tuple[Tensor, ...]


@torch.no_grad()
def encode(stage: FirstStage, pictures: Tensor, noise: Tensor) -> tuple[Tensor, Features]:
    """Scaled latents (T, 4, h, w) of pictures (T, 3, H, W), and five features, each (T, C, h, w)."""
    encoder = stage.encoder
    first = h = _conv(encoder.conv_in, pictures)
    features = []
    for level in encoder.down:
        for block in level.block:  # type: ignore[union-attr]
            h = _resnet(block, h)
        features.append(h)
        if hasattr(level, "downsample"):
            conv = level.downsample.conv  # type: ignore[union-attr]
            h = conv2d(pad(h, (0, 1, 0, 1)), conv.weight, conv.bias, stride=2)
    h = _resnet(encoder.mid.block_1, h)
    h = _middle(encoder.mid.attn_1, h)
    h = _resnet(encoder.mid.block_2, h)
    h = _conv(encoder.conv_out, _swish(_norm(encoder.norm_out, h)))
    mean, logvar = _conv(stage.quant_conv, h).chunk(2, 1)
    return (mean + torch.exp(logvar.clamp(-30, 20) / 2) * noise) * SCALE_FACTOR, (*features, first)


@torch.no_grad()
def decode(stage: FirstStage, latents: Tensor, features: Features | None, *, second_pass: bool = True) -> Tensor:
    """Frames (T, 3, 8h, 8w) of scaled latents (T, 4, h, w); `features` are of both keyframes, each (2, C, h, w)."""
    z = latents / SCALE_FACTOR
    frames = _decode(stage, z, features)
    if second_pass:
        middle = len(z) // 2
        again = _decode(stage, torch.cat((z[:1], z[2:-2], z[-1:])), features)
        frames[middle - 1 : middle + 1] = again[middle - 2 : middle]
    return frames


def _decode(stage: FirstStage, z: Tensor, features: Features | None) -> Tensor:
    decoder = stage.decoder
    h = _conv(decoder.conv_in, z)
    h = _video(decoder.mid.block_1, h)
    h = _middle(decoder.mid.attn_1, h)
    h = _video(decoder.mid.block_2, h)
    for number, level in reversed(list(enumerate(decoder.up))):
        for block in level.block:  # type: ignore[union-attr]
            h = _video(block, h)
        h = _refer(decoder.attn_refinement[number], h, features, number)
        if number:
            h = _conv(level.upsample.conv, interpolate(h, scale_factor=2.0, mode="nearest"))  # type: ignore[union-attr]
    h = _swish(_norm(decoder.norm_out, h))
    h = _refer(decoder.attn_refinement[4], h, features, 4)
    h = _conv(decoder.conv_out, h)
    return _over_time(decoder.conv_out.time_mix_conv, h)


def _video(block: VideoBlock, x: Tensor) -> Tensor:
    spatial = h = _resnet(block, x)
    for norm, conv in zip(block.time_stack.norms, block.time_stack.convolutions, strict=True):
        clip = group_norm(h.transpose(0, 1)[None], norm.num_groups, norm.weight, norm.bias, norm.eps)
        h = _over_time(conv, _swish(clip)[0].transpose(0, 1))
    share = torch.sigmoid(block.mix_factor)
    return share * (h + spatial) + (1 - share) * spatial


def _refer(layer: nn.Module, x: Tensor, features: Features | None, index: int) -> Tensor:
    if features is None:
        return x
    both = features[index]
    if isinstance(layer, Combiner):
        added = torch.zeros_like(x)
        added[[0, -1]] = _conv(layer.conv, both)
        return x + added
    assert isinstance(layer, ReferenceAttention)
    frames = len(x)
    rows = both.flatten(2).transpose(1, 2).flatten(0, 1).expand(frames, -1, -1)
    queries = layer.to_q(_norm(layer.norm, x).flatten(2).transpose(1, 2))
    q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (queries, layer.to_k(rows), layer.to_v(rows)))
    h = layer.to_out(_attention(q, k, v).transpose(1, 2).flatten(2))
    return x + h.transpose(1, 2).reshape(x.shape)


def _middle(layer: MiddleAttention, x: Tensor) -> Tensor:
    h = _norm(layer.norm, x)
    q, k, v = (_conv(conv, h).flatten(2).transpose(1, 2) for conv in (layer.q, layer.k, layer.v))
    h = _attention(q, k, v).transpose(1, 2).reshape(x.shape)
    return x + _conv(layer.proj_out, h)


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return scores.softmax(-1) @ v


def _resnet(block: ResnetBlock, x: Tensor) -> Tensor:
    h = _conv(block.conv1, _swish(_norm(block.norm1, x)))
    h = _conv(block.conv2, _swish(_norm(block.norm2, h)))
    return h + (_conv(block.nin_shortcut, x) if hasattr(block, "nin_shortcut") else x)


def _conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return conv2d(x, layer.weight, layer.bias, padding=layer.padding)  # type: ignore[arg-type]


def _over_time(layer: nn.Conv3d, x: Tensor) -> Tensor:
    clip = conv3d(x.transpose(0, 1)[None], layer.weight, layer.bias, padding=layer.padding)  # type: ignore[arg-type]
    return clip[0].transpose(0, 1)


def _norm(layer: nn.GroupNorm, x: Tensor) -> Tensor:
    return group_norm(x, layer.num_groups, layer.weight, layer.bias, layer.eps)


def _swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)
