"""What decides a sampled latent, as one digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from animegen_tooncrafter.first_stage.sweeps import WHOLE

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen_tooncrafter.placement.residence import Residence
    from animegen_tooncrafter.placement.source import Source
    from animegen_tooncrafter.plugin import ToonCrafterOptions
    from animegen_tooncrafter.synthesis import Settings

VERSION = 1
"""To be raised when the sampler gives something else for the same settings."""


def digest_of(
    first: Image,
    last: Image,
    prompt: str,
    seed: int,
    settings: Settings,
    options: ToonCrafterOptions,
    residence: Residence,
    source: Source,
) -> str:
    """SHA-256 of keyframes, words, seed, settings of the sampler, sketches, parameters and number formats.

    Where parts are placed and how a clip is decoded are left out: they make no difference to a latent.
    """
    sampled = replace(settings, together=True, chunking=WHOLE, second_pass=True)
    drawings = {name: value for name, value in vars(options).items() if name.startswith("sketch")}
    facts = (
        VERSION,
        first.shape,
        prompt,
        seed,
        sampled,
        drawings,
        source.identity,
        source.model,
        residence.dtype_of("unet"),
        residence.dtype_of("first_stage"),
        residence.device_of("unet").type if options.noise == "device" else "cpu",
    )
    total = hashlib.sha256(repr(facts).encode())
    total.update(first.tobytes())
    total.update(last.tobytes())
    return total.hexdigest()
