"""CLIP ViT-B/32 (Radford et al. 2021) from OpenCLIP, with OpenAI's parameters from a file and from nowhere else.

The network is the one with quick GELU: OpenAI's parameters in the ordinary one give wrong features without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn.functional import normalize

from animegen_torch.backbones import read_backbone

MODEL = "ViT-B-32-quickgelu"
WORDS = 77
"""Tokens of a text that CLIP reads, its beginning and end included."""


class Clip:
    """Embeddings of pictures and texts, each of length 1.

    Args:
        path: OpenAI's parameters with OpenCLIP's names.
        device: Where it runs.
        crop: ``centre`` or ``square``, see `animegen_perceptual.plugin.ClipOptions`.

    Raises:
        InputError: The file is damaged or of another network.
    """

    def __init__(self, path: Path, device: torch.device, crop: str = "centre") -> None:
        self._device = device
        self._network: Any = read_backbone(path, make_network, device, name=f"CLIP {MODEL}")
        self._tokens: Any = open_clip.get_tokenizer(MODEL)
        self.transform: Any = open_clip.image_transform(
            224, is_train=False, resize_mode="squash" if crop == "square" else "shortest"
        )

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Embeddings of (H, W, 3) uint8 RGB pictures, (N, 512); resized as the published code does it, by Pillow."""
        shown = torch.stack([cast(Tensor, self.transform(Pillow.fromarray(picture))) for picture in pictures])
        return normalize(self._network.encode_image(shown.to(self._device)), dim=-1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of texts, (N, 512); what is longer than `WORDS` tokens is cut off."""
        return normalize(self._network.encode_text(self._tokens(list(texts)).to(self._device)), dim=-1)

    def is_too_long(self, text: str) -> bool:
        """Whether the end of a text is cut off."""
        return len(self._tokens.encode(text)) > WORDS - 2


def make_network() -> nn.Module:
    """The network without parameters. Not by OpenCLIP's own factory, which asks the network for files by itself."""
    configuration = dict(open_clip.get_model_config(MODEL))
    network = open_clip.CLIP(**configuration)
    with torch.device("cpu"):  # no file gives what a word may look at
        mask = torch.full((WORDS, WORDS), float("-inf")).triu_(1)
    network.register_buffer("attn_mask", mask, persistent=False)
    return cast(nn.Module, network)
