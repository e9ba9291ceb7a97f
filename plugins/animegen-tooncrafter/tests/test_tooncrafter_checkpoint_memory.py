"""What looking into a file and loading a part of it takes, and the published file in its real size."""

from __future__ import annotations

import gzip
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from animegen_tooncrafter.checkpoint import ModelConfiguration, inspect, new_part
from animegen_tooncrafter.checkpoint.parts import PREFIXES, is_leftover
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_torch.memory import peak_memory

MANIFEST = json.loads(gzip.decompress((Path(__file__).parent / "manifest.json.gz").read_bytes()))
CPU = torch.device("cpu")
MIB = 2**20
MEDIUM = ModelConfiguration(unet=UNetConfiguration(model_channels=96, num_res_blocks=1, channel_mult=(1, 2, 4)))
SLACK = 16 * MIB
"""What the process takes beside tensors."""


def sparse(path: Path, shapes: Mapping[str, tuple[int, ...]], kind: str = "F32", size: int = 4) -> Path:
    """A safetensors file with these tensors, all zero, that takes no room on the disk."""
    table, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + size * math.prod(shape)
        table[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(table).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + offset)
    return path


@pytest.fixture(scope="module")
def manifest() -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, (shape, _) in MANIFEST["tensors"].items()}


@pytest.mark.parametrize(("kind", "size"), [("F32", 4), ("F16", 2)])
def test_the_published_file(tmp_path: Path, manifest: dict[str, tuple[int, ...]], kind: str, size: int) -> None:
    path = sparse(tmp_path / "model.safetensors", manifest, kind, size)
    assert path.stat().st_size > size * MANIFEST["total"]["elements"]
    before = time.process_time()
    with peak_memory(CPU) as peak:
        checkpoint = inspect(path)
    assert peak.bytes < 64 * MIB
    assert time.process_time() - before < 5
    published = ModelConfiguration()
    assert checkpoint.model == replace(published, sketch=checkpoint.model.sketch)
    assert checkpoint.model.sketch == published.sketch
    assert checkpoint.missing == () and checkpoint.others == ()
    # Every tensor of the manifest is a parameter of ours of the same shape, a table, or a known leftover.
    ours = {
        PREFIXES[part] + name: one.shape
        for part, held in checkpoint.parts.items()
        for name, one in held.tensors.items()
    }
    left = {
        PREFIXES[part] + name
        for part, held in checkpoint.parts.items()
        for name in held.leftovers
        if is_leftover(part, name, checkpoint.model)
    }
    assert checkpoint.tables is not None
    tables = checkpoint.tables[1]
    assert len(ours) + len(left) + len(tables) == MANIFEST["total"]["tensors"] == 2668
    assert ours | {name: one.shape for name, one in tables.items()} == {
        name: shape for name, shape in manifest.items() if name not in left
    }
    unet = checkpoint.parts["unet"]
    assert unet.parameters == MANIFEST["groups"]["model.diffusion_model"]["elements"]
    assert unet.bytes == size * unet.parameters


def test_the_pruned_file_and_open_clip(tmp_path: Path, manifest: dict[str, tuple[int, ...]]) -> None:
    towers = {name: shape for name, shape in manifest.items() if name.startswith(("cond_stage_model.", "embedder."))}
    rest = {name: shape for name, shape in manifest.items() if name not in towers}
    text = {name.removeprefix("cond_stage_model.model."): shape for name, shape in towers.items() if name[0] == "c"}
    image = {name.removeprefix("embedder.model."): shape for name, shape in towers.items() if "visual" in name}
    pruned = sparse(tmp_path / "pruned.safetensors", rest, "F16", 2)
    assert pruned.stat().st_size == pytest.approx(3.18e9, rel=0.01), "the published size"
    open_clip = sparse(tmp_path / "open_clip.safetensors", text | image)
    assert open_clip.stat().st_size == pytest.approx(3_944_517_836, rel=1e-4), "the published size"
    checkpoint = inspect(pruned, open_clip).require()
    assert checkpoint.model == replace(ModelConfiguration(), sketch=checkpoint.model.sketch)
    assert inspect(pruned).missing == ("text", "image")


def test_the_sketch_encoder(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = {name: tuple(one.shape) for name, one in new_part("sketch", ModelConfiguration()).state_dict().items()}
    path = sparse(tmp_path / "sketch_encoder.safetensors", shapes, "F16", 2)
    assert path.stat().st_size == pytest.approx(728e6, rel=0.002), "the published size"
    assert inspect(path).model == ModelConfiguration()


LOAD = """
from pathlib import Path
import torch
from animegen_tooncrafter.checkpoint import inspect, part_of
from animegen_torch.memory import peak_memory

torch.set_num_threads(1)
cpu = torch.device("cpu")
checkpoint = inspect(Path(given["path"]))
held = checkpoint.parts["unet"]
dtype = getattr(torch, given["dtype"])
torch.zeros(2).to(dtype).sum()  # what libraries set up once
with peak_memory(cpu, every=0.0005) as peak:
    unet = part_of(checkpoint, "unet", dtype=dtype)
print(held.bytes, held.bytes_in(dtype), max(one.bytes for one in held.tensors.values()), peak.bytes)
print(sum(one.numel() * one.element_size() for one in unet.parameters()))
with peak_memory(cpu, every=0.0005) as peak:
    total = sum(float(one.sum()) for one in unet.parameters())
print(peak.bytes)
assert total > 0
"""


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net of 150 MB with seeded numbers in it."""
    with torch.device("meta"):
        like = new_part("unet", MEDIUM).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {PREFIXES["unet"] + name: torch.rand(one.shape, generator=generator) for name, one in like.items()}
    path = tmp_path_factory.mktemp("medium") / "model.ckpt"
    torch.save({"state_dict": state}, path)
    return path


def test_a_part_in_its_own_type_is_the_file(run_alone: Callable[..., str], medium: Path) -> None:
    size, _, _, loading, _, using = map(int, run_alone(LOAD, path=str(medium), dtype="float32").split())
    assert size > 100 * MIB
    assert loading < SLACK, "nothing is read yet"
    assert size * 0.9 < using < size * 1.15


def test_conversion_takes_one_tensor_more(run_alone: Callable[..., str], medium: Path) -> None:
    _, size, largest, loading, held, using = map(int, run_alone(LOAD, path=str(medium), dtype="bfloat16").split())
    assert held == size
    assert 0.9 * size < loading < size + largest + SLACK
    assert using < SLACK, "all of it is there"
