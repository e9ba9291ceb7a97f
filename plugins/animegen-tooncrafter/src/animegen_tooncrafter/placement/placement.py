"""ToonCrafter's parts, and the ways of placing them that have a name."""

from __future__ import annotations

from animegen_tooncrafter.checkpoint import PARTS
from animegen_torch.placement import placement
from animegen_torch.placement.placement import Placement, parallel

__all__ = ["STEERS", "Placement", "offload", "parallel", "single", "split"]

STEERS = ("sketch",)
"""Parts that run beside the U-Net."""


def single(device: str) -> Placement:
    """All parts on one device."""
    return placement.single(device, PARTS)


def split(first: str, second: str) -> Placement:
    """The U-Net, and what steers it, on the second device, all else on the first."""
    return placement.split(first, second, PARTS, seconds=(placement.UNET, *STEERS))


def offload(device: str, *, rest: str = "file") -> Placement:
    """Every part on one device, but only while it runs."""
    return placement.offload(device, PARTS, rest=rest)
