"""The memory tables of docs/tooncrafter.md are what the plan computes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("open_clip")
from animegen_tooncrafter.checkpoint import BLUEPRINT, ModelConfiguration
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.choose import choose
from animegen_tooncrafter.placement.demands import LADDER, needs
from animegen_tooncrafter.placement.placement import Placement, offload, parallel, single, split
from animegen_tooncrafter.plugin import ToonCrafterOptions
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.sizes import Sizes

DOCUMENT = Path(__file__).parents[3] / "docs" / "tooncrafter.md"
GIB = 2**30
CLIP = Clip(320, 512)
DTYPES = {"cuda:0": "float16", "cuda:1": "float16", "cpu": "float32"}
WAYS: dict[str, tuple[Placement, bool]] = {
    "`single`": (single("cuda:0"), True),
    "`split`": (split("cuda:0", "cuda:1"), True),
    "`split`, `guidance=parallel`": (parallel(split("cuda:0", "cuda:1"), "cuda:0"), True),
    "`offload`": (offload("cuda:0"), True),
    "`offload`, `guidance=apart`": (offload("cuda:0"), False),
}


def planned() -> list[str]:
    """Rows: a way, and per device what it needs when the decoder takes 4 frames at once, or 1."""
    sizes, rows = Sizes.of(BLUEPRINT, ModelConfiguration()), []
    for name, (placement, together) in WAYS.items():
        cells = []
        for device in ("cuda:0", "cuda:1"):
            found = []
            for frames in (4, 1):
                way = Chunking(frames)
                need = needs(sizes, placement, CLIP, DTYPES, together=together, chunking=way).get(device)
                found.append("–" if need is None else f"{need[0] / GIB:.1f} ({need[1]})")
            cells += found
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def chosen() -> list[str]:
    """Rows: what `auto` takes on some machines."""
    sizes, rows = Sizes.of(BLUEPRINT, ModelConfiguration()), []
    for title, gib in (
        ("24 GB", (22.0,)),
        ("two of 15 GB", (14.5, 14.5)),
        ("8 GB", (7.4,)),
        ("6 GB", (5.5,)),
        ("4 GB", (3.5,)),
    ):
        devices = tuple(f"cuda:{number}" for number in range(len(gib)))
        free = {device: int(size * GIB) for device, size in zip(devices, gib, strict=True)}
        there = Machine(devices, {**free, "cpu": 24 * GIB}, {**dict.fromkeys(devices, "float16"), "cpu": "float32"})
        choice = choose(ToonCrafterOptions(), there, sizes, CLIP)
        assert choice.fits(there)
        need = ", ".join(f"{choice.needs[device][0] / GIB:.1f}" for device in devices)
        placement = choice.placement
        words = placement.name + (", two U-Nets" if placement.twin else "")
        words += (
            f", {len(placement.blocks)} of the U-Net's {len(sizes.layers)} layers from memory"
            if placement.blocks
            else ""
        )
        words += "" if choice.together else ", guidance apart"
        frames = choice.decoding.frames
        extra = f"{frames} frame{'s' * (frames > 1)} at a time" + (", twice" if choice.decoding.recompute else "")
        rows.append(f"| {title} | {' and '.join(f'{one:g}' for one in gib)} | {words} | {extra} | {need} |")
    return rows


@pytest.mark.parametrize("rows", [planned, chosen])
def test_the_tables_are_what_the_plan_computes(rows: object) -> None:
    assert callable(rows)
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = [row for row in rows() if row not in text]
    assert not missing, "docs/tooncrafter.md lacks these rows:\n" + "\n".join(missing)


def test_the_ladder_is_as_told() -> None:
    assert [(way.frames, way.recompute, way.offload) for way in LADDER] == [
        (8, False, False),
        (4, False, False),
        (2, False, False),
        (1, False, False),
        (1, True, False),
        (1, True, True),
    ]
