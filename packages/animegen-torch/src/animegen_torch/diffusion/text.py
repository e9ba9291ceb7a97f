"""CLIP's text tower, from a prompt to 77 tokens, of open_clip_torch's own modules (2.24 to 3.3).

It is made from a configuration, so that nothing is downloaded and a file's tensors can be handed in. A plugin that uses
it names open_clip_torch among its dependencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from open_clip.transformer import LayerNorm, QuickGELU, Transformer
from torch import Tensor, nn

from animegen_torch.diffusion.finite import NotFiniteError, is_finite

PROMPT_TOKENS = 77


@dataclass(frozen=True)
class TextConfiguration:
    """Sizes of a text tower, under OpenCLIP's names; the defaults are those of ViT-H-14 without its last block.

    Attributes:
        layers: Blocks that a published file has.
        unused: How many of them, at the end, are used for nothing.
        quick_gelu: Whether GELU is approximated by a sigmoid, as in the towers that OpenAI published.
    """

    width: int = 1024
    heads: int = 16
    layers: int = 24
    vocab_size: int = 49408
    context_length: int = PROMPT_TOKENS
    unused: int = 1
    quick_gelu: bool = False

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> TextConfiguration:
        """From OpenCLIP's ``text_cfg``."""
        return cls(**{name: published[name] for name in cls.__dataclass_fields__ if name in published})


def tokenize(prompts: Sequence[str]) -> Tensor:
    """(N, 77) int64: start, the prompt in pieces of words, end, zeros; a long prompt is cut. Nothing is downloaded."""
    ids: Tensor = open_clip.tokenize(list(prompts))
    return ids


class _Tower(nn.Module):
    """OpenCLIP's names, below ``model``."""

    def __init__(self, c: TextConfiguration) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(c.vocab_size, c.width)
        self.positional_embedding = nn.Parameter(torch.zeros(c.context_length, c.width))
        self.transformer = Transformer(
            width=c.width,
            layers=c.layers - c.unused,
            heads=c.heads,
            act_layer=QuickGELU if c.quick_gelu else nn.GELU,
        )
        self.ln_final = LayerNorm(c.width)


class TextTower(nn.Module):
    """The blocks of a text tower that are used, and the last norm on every token, unpooled."""

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


def run_blocks(blocks: Iterable[nn.Module], x: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, L, C) tokens through residual attention blocks of OpenCLIP, the newer of which take the batch first."""
    for block in blocks:
        if block.attn.batch_first:  # type: ignore[union-attr]
            x = block(x, attn_mask=mask)
        else:
            x = block(x.transpose(0, 1), attn_mask=mask).transpose(0, 1)
    return x


def checked(tokens: Tensor, tower: str) -> Tensor:
    """`tokens`, all of them numbers.

    Raises:
        NotFiniteError: Some are not.
    """
    if not is_finite(tokens):
        kind = str(tokens.dtype).removeprefix("torch.")
        raise NotFiniteError(
            f"OpenCLIP's {tower} tower gave numbers that are not finite in {kind}.",
            hint="use --dtype bfloat16 or float32; in float32: animegen weights verify",
        )
    return tokens
