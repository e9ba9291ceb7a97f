"""What decides a sampled latent, as one digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen_seine.placement.source import Source
    from animegen_seine.synthesis import Settings
    from animegen_torch.placement.residence import Residence

VERSION = 1
"""To be raised when the sampler gives something else for the same settings."""


def digest_of(
    first: Image,
    last: Image,
    prompt: str,
    seed: int,
    settings: Settings,
    noise: str,
    residence: Residence,
    source: Source,
) -> str:
    """SHA-256 of pictures, words, seed, settings of the sampler, parameters and number formats.

    Where parts are placed and how a clip is decoded are left out: they make no difference to a latent.
    """
    facts = (
        VERSION,
        first.shape,
        prompt,
        seed,
        replace(settings, together=True, decoder_frames=1),
        source.identity,
        source.model,
        [residence.dtype_of(part) for part in ("text", "unet", "first_stage")],
        residence.device_of("unet").type if noise == "device" else "cpu",
    )
    total = hashlib.sha256(repr(facts).encode())
    total.update(first.tobytes())
    total.update(last.tobytes())
    return total.hexdigest()
