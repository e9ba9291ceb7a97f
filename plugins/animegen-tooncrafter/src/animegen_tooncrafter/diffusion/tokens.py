"""A context taken apart: text tokens, and image tokens for each frame."""

from __future__ import annotations

from torch import Tensor

TEXT_TOKENS = 77
IMAGE_TOKENS = 16
"""Image tokens of one frame."""


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
