"""Files that are something else, told from the names and shapes of their tensors."""

from __future__ import annotations

from animegen_tooncrafter.checkpoint.layout import Layout
from animegen_torch.checkpoints import names_of


def wrong_file(layout: Layout) -> str | None:
    """Predicate of a sentence about a file that holds nothing that is used here, or None for one that does."""
    if layout.parts:
        return None
    return f"holds nothing of ToonCrafter, but {names_of(dict.fromkeys(layout.others))}"
