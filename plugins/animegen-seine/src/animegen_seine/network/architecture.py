"""Sizes of the U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEADS = 8


@dataclass(frozen=True)
class UNetConfiguration:
    """Sizes; the defaults are those of the published model.

    Attributes:
        in_channels: Noisy latent (4), mask (1), latent of the given frames (4).
        widths: Channels of each level; each after the first has half the height and width. All but the last attend.
        layers: Residual blocks of a level on the way down; on the way up there is one more.
        context: Channels of the text's tokens.
        heads: Of every attention; a head is as wide as is left for it.
        groups: Of group norms.
    """

    in_channels: int = 9
    out_channels: int = 4
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    context: int = 768
    heads: int = HEADS
    groups: int = 32

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> UNetConfiguration:
        """From the keys of a published configuration, where ``attention_head_dim`` is the number of heads."""
        return cls(
            in_channels=published["in_channels"],
            out_channels=published["out_channels"],
            widths=tuple(published["block_out_channels"]),
            layers=published["layers_per_block"],
            context=published["cross_attention_dim"],
            heads=published["attention_head_dim"],
            groups=published["norm_num_groups"],
        )

    @property
    def embedding(self) -> int:
        """Width of the embedding of time."""
        return 4 * self.widths[0]

    @property
    def skips(self) -> list[int]:
        """Channels of what is kept on the way down for the way up, in the order in which it comes."""
        found = [self.widths[0]]
        for level, width in enumerate(self.widths):
            found += [width] * self.layers
            if level < len(self.widths) - 1:
                found.append(width)
        return found


@dataclass(frozen=True)
class LevelPlan:
    """One level on the way down or up.

    Attributes:
        widths: Channels that go into each residual block, skips included.
        out: Channels that come out of each.
        attention: Whether a transformer follows each.
        resize: Whether the size changes at the end.
    """

    widths: tuple[int, ...]
    out: int
    attention: bool
    resize: bool


def down_plan(c: UNetConfiguration) -> list[LevelPlan]:
    """Levels from the picture down."""
    plans = []
    before = c.widths[0]
    for level, width in enumerate(c.widths):
        last = level == len(c.widths) - 1
        plans.append(LevelPlan((before, *[width] * (c.layers - 1)), width, not last, not last))
        before = width
    return plans


def up_plan(c: UNetConfiguration) -> list[LevelPlan]:
    """Levels from the middle up."""
    plans, skips, before = [], c.skips, c.widths[-1]
    for level, width in enumerate(reversed(c.widths)):
        widths = []
        for _ in range(c.layers + 1):
            widths.append(before + skips.pop())
            before = width
        plans.append(LevelPlan(tuple(widths), width, level > 0, level < len(c.widths) - 1))
    return plans
