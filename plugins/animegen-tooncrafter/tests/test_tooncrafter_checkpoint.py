"""Files of every published layout, from disk into networks; the golden clip through a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from animegen_testing.seeded_weights import seeded_array
from animegen_tooncrafter.checkpoint import (
    PARTS,
    ModelConfiguration,
    inspect,
    new_part,
    part_of,
)
from animegen_tooncrafter.checkpoint.parts import PREFIXES
from animegen_tooncrafter.conditioning.towers import ImageConfiguration, TextConfiguration
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.guidance import Guidance
from animegen_tooncrafter.diffusion.resampler import ResamplerConfiguration
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.first_stage.architecture import FirstStageConfiguration
from animegen_tooncrafter.synthesis import Parts, Settings, lend, synthesize

GOLDEN = Path(__file__).parent / "golden" / "e2e_interp_5steps.npz"
SIZES = {
    "model_channels": 32,
    "num_res_blocks": 1,
    "attention_resolutions": (2, 1),
    "channel_mult": (1, 2),
    "num_head_channels": 16,
    "context_dim": 64,
}
TINY = ModelConfiguration(
    unet=UNetConfiguration(**SIZES),  # type: ignore[arg-type]
    first_stage=FirstStageConfiguration(ch=32, num_res_blocks=1),
    text=TextConfiguration(width=64, heads=4, layers=3),
    image=ImageConfiguration(width=80, head_width=16, layers=2, patch_size=56),
    resampler=ResamplerConfiguration(dim=64, depth=2, dim_head=16, heads=3, embedding_dim=80, output_dim=64),
    sketch=UNetConfiguration(in_channels=4, dropout=0.0, **SIZES),  # type: ignore[arg-type]
)
"""The model of the golden end-to-end case, and a sketch encoder of its sizes."""
REQUIRED = [part for part in PARTS if part != "sketch"]


def seeded(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(seeded_array(name, shape)) for name, shape in shapes.items()}


def shapes_of(part: str, configuration: ModelConfiguration = TINY) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        state = new_part(part, configuration).state_dict()
    return {PREFIXES[part] + name: tuple(tensor.shape) for name, tensor in state.items()}


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A whole tiny model under its published names, with what the published file has beside."""
    state = seeded({name: shape for part in REQUIRED for name, shape in shapes_of(part).items()})
    last, first = "transformer.resblocks.2.", "transformer.resblocks.1."
    state |= {
        name.replace(first, last): one.clone()
        for name, one in state.items()
        if f"cond_stage_model.model.{first}" in name
    }
    state |= {
        "cond_stage_model.model.text_projection": torch.ones(64, 64),
        "cond_stage_model.model.logit_scale": torch.tensor(1.0),
    }
    state |= {
        "embedder.model.visual.proj": torch.ones(80, 64),
        "embedder.model.visual.ln_post.weight": torch.ones(80),
        "embedder.model.visual.ln_post.bias": torch.ones(80),
        "embedder.model.positional_embedding": torch.ones(77, 64),
        "embedder.model.token_embedding.weight": torch.ones(100, 64),
        "embedder.model.ln_final.weight": torch.ones(64),
        "embedder.model.logit_scale": torch.tensor(1.0),
    }
    return state | Schedule.compute().tables


def pruned_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: one for name, one in state.items() if not name.startswith(("cond_stage_model.", "embedder."))}


def open_clip_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    text, image = PREFIXES["text"] + "model.", PREFIXES["image"] + "model."
    towers = {name.removeprefix(text): one for name, one in state.items() if name.startswith(text)}
    return towers | {name.removeprefix(image): one for name, one in state.items() if name.startswith(f"{image}visual.")}


def halved(state: Mapping[str, Tensor], dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    return {name: one.to(dtype) for name, one in state.items()}


class GivenNoise:
    """The draws of the golden file, in order."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._draws: Iterator[Tensor] = iter(torch.from_numpy(arrays[f"noise.{i}"]) for i in range(7))

    def _next(self, shape: tuple[int, ...]) -> Tensor:
        draw = next(self._draws)
        assert tuple(draw.shape) == tuple(shape)
        return draw

    posterior = start = step = _next


def golden_clip(*paths: Path) -> tuple[Tensor, Tensor]:
    """The clip drawn by the model in these files, and the one that the original drew."""
    checkpoint = inspect(*paths)
    assert checkpoint.missing == ()
    networks: list[Any] = [part_of(checkpoint, part, dtype=torch.float32) for part in REQUIRED]
    networks[REQUIRED.index("unet")].for_inference()
    schedule, different = checkpoint.schedule()
    assert different == []
    arrays = np.load(GOLDEN)
    first, last = (torch.from_numpy(arrays[name]) for name in ("img1", "img2"))
    settings = Settings(steps=5, eta=1.0, guidance=Guidance(7.5, 0.7), fps=10, frames=16)
    parts = Parts(*map(lend, networks), schedule)  # type: ignore[arg-type]
    clip = synthesize(first, last, "an anime scene", parts, GivenNoise(arrays), settings)
    return clip, torch.from_numpy(arrays["video"])[0].transpose(0, 1)


def test_golden_clip_through_a_checkpoint(tmp_path: Path, published: dict[str, Tensor]) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": published, "epoch": 3, "global_step": 7}, path)
    clip, theirs = golden_clip(path)
    assert (clip - theirs).abs().max() <= 1e-3 * theirs.abs().max().clamp(min=1)


def test_golden_clip_of_a_pruned_file_and_open_clip(tmp_path: Path, published: dict[str, Tensor]) -> None:
    save_file(pruned_of(published), tmp_path / "pruned.safetensors")
    save_file(open_clip_of(published), tmp_path / "open_clip_model.safetensors")
    clip, theirs = golden_clip(tmp_path / "pruned.safetensors", tmp_path / "open_clip_model.safetensors")
    assert (clip - theirs).abs().max() <= 1e-3 * theirs.abs().max().clamp(min=1)
