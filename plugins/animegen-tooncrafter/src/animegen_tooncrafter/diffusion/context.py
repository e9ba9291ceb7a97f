"""What the U-Net's cross-attention reads, worked out once for a whole clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from animegen_tooncrafter.diffusion.attention import Keys

TEXT_TOKENS = 77
IMAGE_TOKENS = 16
"""Image tokens of one frame."""


@dataclass(frozen=True)
class Context:
    """Keys and values of every cross-attention, by the name of its transformer, for B samples of T frames.

    They do not change between steps, and text ones not between frames: each is computed once and kept once.
    """

    keys: dict[str, tuple[Keys, ...]]
    samples: int
    frames: int

    def of(self, start: int, stop: int) -> Context:
        """The context of some of the samples; views, nothing is copied."""

        def cut(x: Tensor) -> Tensor:
            each = x.shape[0] // self.samples
            return x[start * each : stop * each]

        return Context(_each(cut, self.keys), stop - start, self.frames)

    def to(self, device: torch.device) -> Context:
        """The same on another device."""
        return Context(_each(lambda x: x.to(device), self.keys), self.samples, self.frames)

    def bytes(self) -> int:
        """Memory that the keys and values take."""
        tensors = [x for several in self.keys.values() for keys in several for x in keys.tensors()]
        return sum(x.numel() * x.element_size() for x in tensors)


def split_context(context: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Text tokens (B, 77, W) and image tokens of a context (B, L, W).

    With exactly 16 image tokens for each of `frames` frames, every frame gets its own: (B·T, 16, W). With any other
    number every frame sees all of them: (B, L - 77, W). So a clip of other than 16 frames runs on the 256 tokens that
    the published model makes, though it was not trained to.

    Raises:
        ValueError: There are no image tokens.
    """
    if context.ndim != 3 or context.shape[1] <= TEXT_TOKENS:
        raise ValueError(f"a context is (B, more than {TEXT_TOKENS} tokens, width), not {tuple(context.shape)}")
    text, image = context[:, :TEXT_TOKENS], context[:, TEXT_TOKENS:]
    if image.shape[1] == IMAGE_TOKENS * frames:
        image = image.reshape(-1, IMAGE_TOKENS, image.shape[2])
    return text, image


def _each(change: Callable[[Tensor], Tensor], keys: dict[str, tuple[Keys, ...]]) -> dict[str, tuple[Keys, ...]]:
    def pair(two: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return change(two[0]), change(two[1])

    def all_of(several: Sequence[Keys]) -> tuple[Keys, ...]:
        return tuple(Keys(pair(one.text), None if one.image is None else pair(one.image)) for one in several)

    return {name: all_of(several) for name, several in keys.items()}
