"""Sizes of the first stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCALE_FACTOR = 0.18215
"""The diffusion works on latents times this, which gives them a spread of about 1."""
LEVELS = 4
"""Resolutions: the picture itself, and halved up to three times."""
DOWN = 2 ** (LEVELS - 1)
"""A latent has one pixel for each square of so many pixels."""


@dataclass(frozen=True)
class FirstStageConfiguration:
    """Sizes; the defaults are those of the published 512 model, under their published names.

    Attributes:
        ch: Channels at the full size.
        ch_mult: Channels of each level, in `ch`, from the full size down.
        num_res_blocks: Blocks of each level of the encoder; the decoder has one more.
        z_channels: Channels of a latent before `quant_conv`.
        embed_dim: Channels of a latent.
    """

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 4
    embed_dim: int = 4
    in_channels: int = 3
    out_ch: int = 3

    def __post_init__(self) -> None:
        if len(self.ch_mult) != LEVELS:
            raise ValueError(f"{LEVELS} levels are implemented, not {len(self.ch_mult)}")

    @classmethod
    def of(cls, published: Mapping[str, Any], embed_dim: int = 4) -> FirstStageConfiguration:
        """From the keys of a published ``ddconfig``.

        Raises:
            ValueError: It asks for what is not implemented here.
        """
        if published.get("attn_resolutions") or not published.get("double_z", True):
            raise ValueError("attention beside that in the middle, or a latent without variance, is not implemented")
        given = {name: published[name] for name in cls.__dataclass_fields__ if name in published}
        return cls(**{**given, "ch_mult": tuple(published.get("ch_mult", cls.ch_mult)), "embed_dim": embed_dim})

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.ch * multiplier for multiplier in self.ch_mult)
