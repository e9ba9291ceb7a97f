"""From a prompt to 77 tokens."""

from __future__ import annotations

from collections.abc import Sequence

import open_clip
import torch
from open_clip.transformer import LayerNorm, Transformer
from torch import Tensor, nn

from animegen_tooncrafter.conditioning.towers import TextConfiguration, checked, run_blocks


def tokenize(prompts: Sequence[str]) -> Tensor:
    """(N, 77) int64: start, the prompt in pieces of words, end, zeros; a long prompt is cut. Nothing is downloaded."""
    ids: Tensor = open_clip.tokenize(list(prompts))
    return ids


class _Tower(nn.Module):
    """Names below ``cond_stage_model.model``."""

    def __init__(self, c: TextConfiguration) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(c.vocab_size, c.width)
        self.positional_embedding = nn.Parameter(torch.zeros(c.context_length, c.width))
        # All but the last block: what that gives is used for nothing here.
        self.transformer = Transformer(width=c.width, layers=c.layers - 1, heads=c.heads)
        self.ln_final = LayerNorm(c.width)


class TextTower(nn.Module):
    """OpenCLIP's text tower up to the last but one block, and the last norm on every token, unpooled."""

    def __init__(self, configuration: TextConfiguration | None = None) -> None:
        super().__init__()
        self.configuration = configuration or TextConfiguration()
        self.model = _Tower(self.configuration)

    @torch.no_grad()
    def forward(self, prompts: Sequence[str] | Tensor) -> Tensor:
        """Prompts, or their (N, 77) `tokenize`d form, to (N, 77, width) in the parameters' type.

        Raises:
            NotFiniteError: There are values that are not numbers.
        """
        model = self.model
        ids = prompts if isinstance(prompts, Tensor) else tokenize(prompts)
        x = model.token_embedding(ids.to(model.positional_embedding.device)) + model.positional_embedding
        # A token sees those before it. Made here, not kept: a tower may be made without memory and filled later.
        mask = torch.full(2 * (x.shape[1],), -torch.inf, dtype=x.dtype, device=x.device).triu(1)
        x = run_blocks(model.transformer.resblocks, x, mask)
        return checked(model.ln_final(x), "text")
