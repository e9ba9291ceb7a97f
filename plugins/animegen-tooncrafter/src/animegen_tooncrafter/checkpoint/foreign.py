"""Files that are something else, told from the names and shapes of their tensors."""

from __future__ import annotations

from animegen_tooncrafter.checkpoint.layout import OPEN_CLIP, SKETCH, Layout
from animegen_torch.checkpoints import names_of
from animegen_torch.known_models import name_of_model

_HINT = "input_hint_block.0.weight"


def wrong_file(layout: Layout) -> str | None:
    """Predicate of a sentence about a file whose parts are not ToonCrafter's, or None for one whose parts may be."""
    parts = layout.parts
    shapes = {name: one.shape for name, one in layout.state.items()}
    known = name_of_model(shapes)
    if layout.kind == SKETCH:
        return None if parts["sketch"][_HINT].shape[1:2] == (1,) else f"holds {known}, not {SKETCH}"
    if layout.kind == OPEN_CLIP:
        return None
    if not parts:
        return f"holds {known}, not ToonCrafter" if known else f"holds nothing of ToonCrafter, but {names_of(shapes)}"
    unet, first_stage = parts.get("unet"), parts.get("first_stage")
    if unet is not None and "init_attn.0.proj_in.weight" not in unet:
        return f"holds {known or 'a diffusion model'}, which draws single pictures, not ToonCrafter"
    if first_stage is not None and not any(name.startswith("decoder.attn_refinement.") for name in first_stage):
        if unet is None:
            return "holds an autoencoder without ToonCrafter's dual-reference decoder, and nothing else of use here"
        return (
            "holds DynamiCrafter, which ToonCrafter began from: its decoder does not see the keyframes "
            "(no first_stage_model.decoder.attn_refinement)"
        )
    return None
