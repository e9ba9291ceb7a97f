"""Placements that need a GPU: on it and on the processor, within its memory, and one GPU standing for two."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("open_clip")
import torch

from animegen.errors import ResourceError
from animegen_testing.context import FakeContext
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.demands import LADDER, needs
from animegen_tooncrafter.placement.placement import offload
from animegen_tooncrafter.placement.source import untrained
from animegen_tooncrafter.plugin import ToonCrafterOptions
from animegen_tooncrafter.stage import ToonCrafter
from animegen_tooncrafter.synthesis import Conditions, Parts, Settings, decode, denoise, encode, read
from animegen_torch.diffusion.clip import Clip
from animegen_torch.diffusion.noise import Noise
from animegen_torch.memory import peak_memory
from animegen_torch.placement.residence import Residence
from animegen_torch.placement.sizes import Sizes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"),
]
TIMES = [number / 5 for number in range(6)]
Draw = Callable[..., Any]


@pytest.fixture
def draw(tiny_file: Path, tmp_path: Path) -> Draw:
    noise = np.random.default_rng(5)
    first, last = (noise.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(2))

    def clip(placed: dict[str, Any] | str, devices: tuple[str, ...] = ("cuda:0",), **options: Any) -> Any:
        if isinstance(placed, dict):
            path = tmp_path / "map.json"
            path.write_text(json.dumps(placed))
            placed = str(path)
        chosen = ToonCrafterOptions(file=str(tiny_file), steps=2, device_map=placed, noise="cpu", **options)
        stage = ToonCrafter(chosen, FakeContext(devices=devices, dtype="float32"))
        try:
            return stage(first, last, TIMES, prompt="rain", seed=4)
        finally:
            stage.close()

    return clip


@pytest.fixture
def capped() -> Iterator[Callable[[float], None]]:
    """Leaves only so many GiB of the first GPU to this process."""
    total = torch.cuda.get_device_properties(0).total_memory
    yield lambda gib: torch.cuda.set_per_process_memory_fraction(min(1.0, gib * 2**30 / total), 0)
    torch.cuda.set_per_process_memory_fraction(1.0, 0)
    torch.cuda.empty_cache()


@pytest.mark.parametrize(
    "placed",
    [
        "offload",
        {"*": "cuda:0", "unet": ["cuda:0", "cuda:0"]},
        {"*": "cpu", "unet": "cuda:0"},
        {"*": "cuda:0", "text": "cpu", "image": "cpu"},
        {"*": "cuda:0", "rest": "cpu"},
        {"*": "cuda:0", "blocks": {"output_blocks": "cpu", "input_blocks": "disk"}},
        {"*": "cpu", "unet": "cuda:0", "blocks": {"middle_block": "disk"}},
    ],
    ids=str,
)
def test_wherever_parts_are_the_clip_is_the_same(draw: Draw, placed: Any) -> None:
    expected = draw("single").astype(int)
    drawn = draw(placed)
    assert np.abs(drawn - expected).max() <= 2
    assert np.abs(drawn - expected).mean() < 0.05


def test_nothing_stays_on_the_device(draw: Draw) -> None:
    before = torch.cuda.memory_allocated(0)
    draw("offload")
    draw("single")
    assert torch.cuda.memory_allocated(0) - before < 1 << 20


@pytest.mark.slow
@pytest.mark.parametrize("way", [LADDER[1], LADDER[3], LADDER[5]], ids=str)
def test_what_is_planned_is_what_is_taken_at_the_published_size(way: Chunking) -> None:
    source = untrained()
    device, clip = torch.device("cuda:0"), Clip(320, 512)
    dtypes = {"cuda:0": "float16", "cpu": "float32"}
    placement = offload("cuda:0")
    need = needs(Sizes.of(source.blueprint, source.model), placement, clip, dtypes, chunking=way)["cuda:0"][0]
    residence = Residence(source, placement, dtypes)
    settings, noise = Settings(steps=1, chunking=way), Noise(0)
    parts = Parts.of(residence, source.schedule()[0])
    ends = [torch.rand(3, 320, 512) * 2 - 1 for _ in range(2)]
    with peak_memory(device) as peak:
        tokens = read(ends[0], "rain", parts, settings)
        conditions = Conditions(tokens, encode(ends[0], ends[1], parts, noise, settings))
        decode(denoise(conditions, parts, noise, settings), conditions, parts, settings)
    print(f"{peak.bytes / 2**30:.2f} GiB taken, {need / 2**30:.2f} GiB planned")
    assert peak.bytes <= need <= 1.8 * peak.bytes


def test_too_little_memory_says_what_to_type(draw: Draw, capped: Callable[[float], None]) -> None:
    capped(0.01)
    with pytest.raises(ResourceError, match=r"out of memory on cuda:0 in tooncrafter") as error:
        draw("single")
    assert any("device_map=offload" in hint or "size=" in hint for hint in error.value.hints)
