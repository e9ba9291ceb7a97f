"""The places a stage can take in a run. An upsampler is no kind of its own: it is an interpolator for any time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from animegen.stages import Kind

Role = Literal["detector", "inpainter", "preprocessor", "interpolator", "upsampler"]

ROLE_KINDS: Mapping[Role, Kind] = {
    "detector": "detector",
    "inpainter": "inpainter",
    "preprocessor": "preprocessor",
    "interpolator": "interpolator",
    "upsampler": "interpolator",
}
ROLES: tuple[Role, ...] = tuple(ROLE_KINDS)
