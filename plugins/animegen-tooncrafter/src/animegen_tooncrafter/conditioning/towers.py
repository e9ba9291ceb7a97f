"""Sizes of OpenCLIP's ViT-H-14, and the names in a published file that nothing here needs.

The towers are made of open_clip_torch's own modules (2.24 to 3.3), from a configuration, so that nothing is downloaded
and a file's tensors can be handed in. Of both towers only what the published pipeline runs is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT_LEFTOVERS = (
    r"model\.(text_projection|logit_scale|attn_mask)$",
    r"model\.transformer\.resblocks\.23\.",
)
"""Regular expressions of the names under ``cond_stage_model.`` that are in the file and never used."""
IMAGE_LEFTOVERS = (
    r"model\.(positional_embedding|text_projection|logit_scale|attn_mask)$",
    r"model\.(token_embedding|ln_final)\.",
    r"model\.visual\.(proj$|ln_post\.)",
)
"""The same under ``embedder.``: the text side of CLIP, and the head of its image side."""


@dataclass(frozen=True)
class ImageConfiguration:
    """Sizes of the image tower, under OpenCLIP's names; the defaults are those of ViT-H-14."""

    width: int = 1280
    head_width: int = 80
    layers: int = 32
    patch_size: int = 14
    image_size: int = 224
    mlp_ratio: float = 4.0

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> ImageConfiguration:
        """From OpenCLIP's ``vision_cfg``."""
        return cls(**{name: published[name] for name in cls.__dataclass_fields__ if name in published})
