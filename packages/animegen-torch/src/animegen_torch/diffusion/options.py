"""Options that every stage with a model of clips has in the same words. Light: imported where records are made.

Each function declares one field; a dataclass inherited from would decide the order in which options are listed.
"""

from __future__ import annotations

from typing import Any

from animegen.options import option


def guidance_interval() -> Any:
    """Of `animegen_torch.diffusion.guidance.Guidance`."""
    return option(
        (0.0, 1.0),
        "Between which shares of the noise schedule (1 is pure noise) guidance is used, e.g. 0.2,0.9; steps outside "
        "cost half. All of it is as published.",
        min=0,
        max=1,
    )


def negative_prompt() -> Any:
    """Text of the unconditional branch."""
    return option("", "What the clip is guided away from; nothing as published.")


def keyframes() -> Any:
    """What becomes of the ends of a clip."""
    return option(
        "decoded",
        "First and last frame: decoded like the others, or copied from the panels.",
        choices=("decoded", "copied"),
    )
