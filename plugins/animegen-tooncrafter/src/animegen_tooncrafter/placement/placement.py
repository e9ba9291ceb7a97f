"""ToonCrafter's parts, and the ways of placing them that have a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from animegen_torch.placement import placement
from animegen_torch.placement.placement import Placement, parallel

__all__ = ["PARTS", "Placement", "offload", "parallel", "read_map", "single", "split"]

PARTS = ("text", "image", "projector", "unet", "first_stage", "sketch")
_STEERS = "sketch"
"""Runs beside the U-Net."""


def single(device: str) -> Placement:
    """All parts on one device."""
    return placement.single(device, PARTS)


def split(first: str, second: str) -> Placement:
    """The U-Net, and what steers it, on the second device, all else on the first."""
    return placement.split(first, second, PARTS, seconds=(placement.UNET, _STEERS))


def offload(device: str, *, rest: str = "file") -> Placement:
    """Every part on one device, but only while it runs."""
    return placement.offload(device, PARTS, rest=rest)


def read_map(path: Path, known: Sequence[str], layers: Sequence[str] = ()) -> Placement:
    """A placement from a JSON file; see `animegen_torch.placement.placement.read_map`."""
    return placement.read_map(path, PARTS, known, layers, stage="tooncrafter", follows=(_STEERS,))
