"""Sizes of the U-Net, and which layers stand where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

FIXED = {
    "transformer_depth": 1,
    "use_linear": True,
    "temporal_conv": True,
    "temporal_attention": True,
    "temporal_selfatt_only": True,
    "use_relative_position": False,
    "use_causal_attention": False,
    "addition_attention": True,
    "image_cross_attention": True,
    "fs_condition": True,
}
"""Settings of the published configuration that this implementation knows one value of."""


@dataclass(frozen=True)
class UNetConfiguration:
    """Sizes; the defaults are those of the published 512 model, under their published names.

    Attributes:
        attention_resolutions: Downsampling factors at which there are transformers.
        channel_mult: Width of each level, in `model_channels`; each level after the first halves the picture.
        context_dim: Channels of text and image tokens.
        default_fs: Frames per second where nobody says.
    """

    in_channels: int = 8
    out_channels: int = 4
    model_channels: int = 320
    num_res_blocks: int = 2
    attention_resolutions: tuple[int, ...] = (4, 2, 1)
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_head_channels: int = 64
    context_dim: int = 1024
    dropout: float = 0.1
    temporal_length: int = 16
    default_fs: int = 24

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> UNetConfiguration:
        """From the keys of a published configuration file.

        Raises:
            ValueError: It asks for a layer that is not implemented here.
        """
        if other := {name: value for name, value in FIXED.items() if published.get(name, value) != value}:
            raise ValueError(f"only {other} is implemented")
        given: dict[str, Any] = {}
        for name in (field.name for field in fields(cls) if field.name in published):
            given[name] = tuple(published[name]) if isinstance(published[name], list) else published[name]
        return cls(**given)

    @property
    def embedding(self) -> int:
        """Width of the embedding of time and fps."""
        return 4 * self.model_channels

    @property
    def multiple(self) -> int:
        """Height and width of a latent are multiples of this."""
        return int(2 ** (len(self.channel_mult) - 1))

    def heads(self, channels: int) -> int:
        """Number of attention heads at a width."""
        return channels // self.num_head_channels


@dataclass(frozen=True)
class BlockPlan:
    """One entry of the input or output blocks.

    Attributes:
        channels: Channels that come in; for output blocks those of the skip connection included.
        out_channels: Channels that go out.
        kind: ``conv`` (the first one), ``res`` or ``down``.
        attention: Whether transformers follow.
        up: Whether the picture is doubled at the end.
    """

    channels: int
    out_channels: int
    kind: str = "res"
    attention: bool = False
    up: bool = False


def input_plan(configuration: UNetConfiguration) -> list[BlockPlan]:
    """Input blocks, from the picture down."""
    width = configuration.model_channels
    plan = [BlockPlan(configuration.in_channels, width, "conv")]
    channels, factor = width, 1
    last = len(configuration.channel_mult) - 1
    for level, multiplier in enumerate(configuration.channel_mult):
        for _ in range(configuration.num_res_blocks):
            attention = factor in configuration.attention_resolutions
            plan.append(BlockPlan(channels, multiplier * width, attention=attention))
            channels = multiplier * width
        if level < last:
            plan.append(BlockPlan(channels, channels, "down"))
            factor *= 2
    return plan


def output_plan(configuration: UNetConfiguration) -> list[BlockPlan]:
    """Output blocks, from the middle up; each takes one skip, the last input block's first."""
    skips = [block.out_channels for block in input_plan(configuration)]
    channels = skips[-1]
    plan = []
    for level, multiplier in reversed(list(enumerate(configuration.channel_mult))):
        attention = 2**level in configuration.attention_resolutions
        for number in range(configuration.num_res_blocks + 1):
            width = multiplier * configuration.model_channels
            up = level > 0 and number == configuration.num_res_blocks
            plan.append(BlockPlan(channels + skips.pop(), width, attention=attention, up=up))
            channels = width
    return plan
