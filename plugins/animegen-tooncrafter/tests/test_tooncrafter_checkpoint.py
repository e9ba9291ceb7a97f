"""Files of every published layout, from disk into networks; the golden clip through a file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from animegen.errors import InputError, MissingError
from animegen_testing.seeded_weights import seeded_array
from animegen_tooncrafter.checkpoint import (
    BLUEPRINT,
    PARTS,
    ModelConfiguration,
    inspect,
    keeps_float32,
    new_part,
    part_of,
    tensors_of,
)
from animegen_tooncrafter.checkpoint.parts import PREFIXES
from animegen_tooncrafter.conditioning.towers import ImageConfiguration
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.resampler import ResamplerConfiguration
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.synthesis import Parts, Settings, synthesize
from animegen_torch.conversion import convert
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.guidance import Guidance
from animegen_torch.diffusion.text import TextConfiguration
from animegen_torch.placement.lending import lend

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


def saved(path: Path, state: Any) -> Path:
    torch.save(state, path)
    return path


def same(ours: torch.nn.Module, theirs: Mapping[str, Tensor], part: str) -> bool:
    return all(torch.equal(one, theirs[PREFIXES[part] + name]) for name, one in ours.state_dict().items())


def prefixed(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: one for name, one in state.items()}


LAYOUTS: dict[str, Callable[[Path, dict[str, Tensor]], Path]] = {
    "state_dict": lambda p, s: saved(p / "a.ckpt", {"state_dict": s, "callbacks": {}, "loops": None}),
    "bare": lambda p, s: saved(p / "a.ckpt", OrderedDict(s)),
    "parameters": lambda p, s: saved(p / "a.ckpt", {name: torch.nn.Parameter(one) for name, one in s.items()}),
    "DeepSpeed": lambda p, s: saved(
        p / "a.ckpt", {"module": {f"_forward_module.{name}": one for name, one in s.items()}}
    ),
    "any 16 characters": lambda p, s: saved(
        p / "a.ckpt", {"module": {f"abcdefghijklmno.{name}": one for name, one in s.items()}}
    ),
    "data parallel": lambda p, s: saved(
        p / "a.ckpt", {"state_dict": {f"module.{name}": one for name, one in s.items()}}
    ),
    "framestride": lambda p, s: saved(
        p / "a.ckpt", {name.replace("fps_embedding", "framestride_embed"): one for name, one in s.items()}
    ),
    "before 1.6": lambda p, s: (torch.save(s, p / "a.ckpt", _use_new_zipfile_serialization=False), p / "a.ckpt")[1],
    "safetensors": lambda p, s: (save_file(s, p / "a.safetensors"), p / "a.safetensors")[1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_hold_the_same(tmp_path: Path, published: dict[str, Tensor], layout: str) -> None:
    checkpoint = inspect(LAYOUTS[layout](tmp_path, published))
    assert checkpoint.missing == () and checkpoint.others == ()
    assert list(checkpoint.parts) == REQUIRED
    assert checkpoint.model == replace(TINY, sketch=checkpoint.model.sketch)
    assert ("DeepSpeed" in checkpoint.layout) == (layout in ("DeepSpeed", "any 16 characters"))
    for part in REQUIRED:
        assert same(part_of(checkpoint, part), published, part)
        assert checkpoint.parts[part].dtype == torch.float32
    assert len(checkpoint.parts["text"].leftovers) == 14 and len(checkpoint.parts["image"].leftovers) == 7
    assert checkpoint.schedule()[1] == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files(tmp_path: Path, published: dict[str, Tensor], dtype: torch.dtype) -> None:
    save_file(halved(published, dtype), tmp_path / "half.safetensors")
    checkpoint = inspect(tmp_path / "half.safetensors")
    unet = checkpoint.parts["unet"]
    assert (unet.dtype, unet.bytes) == (dtype, 2 * unet.parameters)
    assert same(part_of(checkpoint, "projector"), halved(published, dtype), "projector")
    back = part_of(checkpoint, "first_stage", dtype=torch.float32)
    assert all(one.dtype == torch.float32 for one in back.parameters())
    # The tables of a half-precision file have lost digits: those of a float32 one are computed instead.
    schedule, different = checkpoint.schedule()
    assert different == [] and torch.equal(schedule.alphas_cumprod, Schedule.compute().alphas_cumprod)


def test_what_embeds_time_stays_float32(tmp_path: Path, published: dict[str, Tensor]) -> None:
    checkpoint = inspect(saved(tmp_path / "a.ckpt", published))
    ours = part_of(checkpoint, "unet", dtype=torch.bfloat16)
    theirs = part_of(checkpoint, "unet", dtype=torch.float32)
    assert isinstance(theirs, UNet)
    theirs.compute_in(torch.bfloat16)
    assert {name: one.dtype for name, one in ours.named_parameters()} == {
        name: one.dtype for name, one in theirs.named_parameters()
    }
    assert not ours.training and not any(one.requires_grad for one in ours.parameters())
    taken = sum(one.numel() * one.element_size() for one in ours.parameters())
    assert checkpoint.parts["unet"].bytes_in(torch.bfloat16) == taken


def test_schedule_of_the_file_counts(tmp_path: Path, published: dict[str, Tensor]) -> None:
    other = published | {"scale_arr": torch.full((1400,), 0.5)}
    schedule, different = inspect(saved(tmp_path / "a.ckpt", other)).schedule()
    assert different == ["scale_arr"] and float(schedule.scale_arr[0]) == 0.5


def test_pruned_file_without_towers(tmp_path: Path, published: dict[str, Tensor]) -> None:
    checkpoint = inspect(saved(tmp_path / "a.ckpt", pruned_of(published)))
    assert checkpoint.missing == ("text", "image") and checkpoint.layout.startswith("a pruned")
    assert part_of(checkpoint, "unet") is not None
    with pytest.raises(MissingError, match="has no OpenCLIP towers") as caught:
        part_of(checkpoint, "text")
    assert caught.value.hints == ("animegen weights fetch tooncrafter/open_clip_model.safetensors",)


def test_towers_of_another_clip_are_refused(tmp_path: Path, published: dict[str, Tensor]) -> None:
    narrow = replace(TINY, text=TextConfiguration(width=32, heads=2, layers=3))
    text = seeded(shapes_of("text", narrow))
    last = {name.replace("blocks.1.", "blocks.2."): one for name, one in text.items() if ".resblocks.1." in name}
    image = {name: one for name, one in published.items() if name.startswith("embedder.model.visual.")}
    towers = open_clip_of(text | last | image)
    paths = saved(tmp_path / "a.ckpt", pruned_of(published)), saved(tmp_path / "clip.bin", towers)
    with pytest.raises(InputError, match="do not belong together: the text has text tokens of 32 channels"):
        inspect(*paths)


def test_sketch_encoder(tmp_path: Path, published: dict[str, Tensor]) -> None:
    sketch = seeded(shapes_of("sketch"))
    bare = {name.removeprefix("control_model."): one for name, one in sketch.items()}
    model = saved(tmp_path / "model.ckpt", published)
    for number, content in enumerate((bare, {"state_dict": bare}, sketch)):
        alone = saved(tmp_path / f"{number}.ckpt", content)
        assert inspect(alone, heads={"sketch": 16}).model.sketch == TINY.sketch
        checkpoint = inspect(model, alone)
        assert checkpoint.model == TINY, "the width of its heads is the U-Net's"
        assert same(part_of(checkpoint.require(), "sketch"), sketch, "sketch")
    with pytest.raises(InputError, match="is a sketch encoder of ToonCrafter, not ToonCrafter's model"):
        inspect(alone).require()
    with pytest.raises(InputError, match="is a checkpoint of ToonCrafter, not a sketch encoder"):
        inspect(model).require("sketch")


def test_tensors_for_blocks_are_the_file(tmp_path: Path, published: dict[str, Tensor]) -> None:
    checkpoint = inspect(saved(tmp_path / "a.ckpt", published))
    tensors = tensors_of(checkpoint, "unet")
    assert tensors.keys() == new_part("unet", TINY).state_dict().keys()
    assert all(torch.equal(one, published[PREFIXES["unet"] + name]) for name, one in tensors.items())
    half = tensors_of(checkpoint, "unet", dtype=torch.float16)
    assert {one.dtype for name, one in half.items() if not keeps_float32("unet", name)} == {torch.float16}


def test_writing_to_a_part_leaves_the_file(tmp_path: Path, published: dict[str, Tensor]) -> None:
    path = saved(tmp_path / "a.ckpt", published)
    before = path.read_bytes()
    for one in part_of(inspect(path), "projector").parameters():
        one.add_(1)
    assert path.read_bytes() == before


def test_untrained_parts_are_seeded_and_finite() -> None:
    for part in PARTS:
        first, again = (BLUEPRINT.untrained(part, TINY, dtype=torch.bfloat16, seed=3) for _ in range(2))
        other = BLUEPRINT.untrained(part, TINY, dtype=torch.bfloat16, seed=4)
        state = first.state_dict()
        assert all(torch.equal(one, again.state_dict()[name]) for name, one in state.items())
        assert any(not torch.equal(one, other.state_dict()[name]) for name, one in state.items())
        assert {one.dtype for name, one in state.items() if keeps_float32(part, name)} <= {torch.float32}
        assert all(one.isfinite().all() for one in state.values())


def test_untrained_model_draws_finite_frames() -> None:
    networks: list[Any] = [BLUEPRINT.untrained(part, TINY) for part in REQUIRED]
    parts = Parts(*map(lend, networks), Schedule.compute())  # type: ignore[arg-type]
    arrays = np.load(GOLDEN)
    first, last = (torch.from_numpy(arrays[name]) for name in ("img1", "img2"))
    clip = synthesize(first, last, "", parts, GivenNoise(arrays), Settings(steps=5))
    assert clip.shape == (16, 3, 64, 64) and bool(clip.isfinite().all())


def test_converted_files_hold_the_same(tmp_path: Path, published: dict[str, Tensor]) -> None:
    path = saved(tmp_path / "model.ckpt", {"module": prefixed("_forward_module.", published)})
    whole = inspect(convert(path, tmp_path / "whole.safetensors").path)
    assert whole.missing == () and whole.others == ()
    assert all(same(part_of(whole, part), published, part) for part in REQUIRED)
    towers = (PREFIXES["text"], PREFIXES["image"])
    made = convert(path, tmp_path / "half.safetensors", dtype="float16", without=towers)
    pruned = inspect(made.path)
    assert pruned.layout.startswith("a pruned") and pruned.missing == ("text", "image")
    unet = part_of(pruned, "unet", dtype=torch.float16)
    assert same(unet, halved(published), "unet")
    assert {one.dtype for name, one in unet.named_parameters() if not keeps_float32("unet", name)} == {torch.float16}
    assert same(part_of(pruned, "first_stage"), halved(published), "first_stage")
    # The tables are not halved with the rest: the file's own count.
    assert pruned.tables is not None and {one.dtype for one in pruned.tables[1].values()} == {torch.float32}
