"""What the network is given besides noise: the words, and the frames that are there already."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from animegen_seine.diffusion.masks import latent_mask
from animegen_torch.diffusion import text
from animegen_torch.diffusion.autoencoder.architecture import SCALE_FACTOR
from animegen_torch.diffusion.autoencoder.encoder import Posterior

END_OF_TEXT = 49407
GREY = 0.0
"""A frame that is to be drawn, in [-1, 1]: mid grey, not black."""


def tokenize(prompts: Sequence[str]) -> Tensor:
    """(N, 77) int64: as CLIP's own tokens, but filled up with the end of text, as Stable Diffusion does it."""
    ids = text.tokenize(prompts)
    behind = (ids == END_OF_TEXT).cumsum(1) > 0
    return torch.where(behind, END_OF_TEXT, ids)


def with_suffix(prompt: str, suffix: str) -> str:
    """A prompt with what is put behind every one."""
    return " ".join(words for words in (prompt.strip(), suffix.strip()) if words)


def shown(first: Tensor, last: Tensor) -> Tensor:
    """The different pictures of a clip, two of which are given: first, last, and what stands for all others."""
    return torch.stack((first, last, torch.full_like(first, GREY)))


def beside(posterior: Posterior, mask: Tensor, noise: Tensor | None) -> Tensor:
    """What the network reads behind the noisy latents: the mask, and the latents of the masked clip.

    The published program encodes all T frames, though all but two are the same grey picture; here each different one is
    encoded once, and the latent of a frame is drawn from its posterior.

    Args:
        posterior: Of the three pictures of `shown`, (3, 4, h, w).
        mask: (T,), 0 for the first and the last frame.
        noise: Normal draws, (T, 4, h, w); None for the mean of each posterior.

    Returns:
        (1, 5, T, h, w) float32.
    """
    which = torch.full((len(mask),), 2)
    which[0], which[-1] = 0, 1
    frames = Posterior(posterior.mean[which], posterior.logvar[which])
    latents = SCALE_FACTOR * (frames.mean if noise is None else frames.sample(noise))
    clip = latents.transpose(0, 1)[None]
    return torch.cat((latent_mask(mask, *clip.shape[-2:]).to(clip), clip), 1)
