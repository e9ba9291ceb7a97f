"""A tiny model with drawn parameters, written in the forms that the published files have. Only tests can make it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")
import torch
from safetensors.torch import save_file
from torch import Tensor

from animegen_seine.model import BLUEPRINT, ModelConfiguration, keeps_float32
from animegen_seine.network.architecture import UNetConfiguration
from animegen_seine.network.position import frequencies
from animegen_seine.plugin import SeineOptions
from animegen_seine.stage import Seine
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.published import autoencoder_made, text_made
from animegen_torch.diffusion.text import TextConfiguration

Tensors = dict[str, Tensor]

TINY = ModelConfiguration(
    unet=UNetConfiguration(widths=(64, 64), layers=1, context=64, heads=2),
    first_stage=FirstStageConfiguration(ch=32, num_res_blocks=1),
    text=TextConfiguration(width=64, heads=1, layers=2, unused=0, quick_gelu=True),
)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from threads, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept between runs is kept for one test only."""
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def tiny() -> ModelConfiguration:
    """Sizes of a model that draws a small clip in a second."""
    return TINY


@pytest.fixture(scope="session")
def parts() -> dict[str, Tensors]:
    """Drawn parameters of each part, under the names of its network."""
    drawn = {part: dict(BLUEPRINT.untrained(part, TINY).state_dict()) for part in BLUEPRINT.parts}
    assert keeps_float32("unet", "time_embedding.linear_1.weight")
    return drawn


@pytest.fixture(scope="session")
def published(parts: dict[str, Tensors]) -> dict[str, Tensors]:
    """The same under the names of the published files: SEINE's, diffusers' autoencoder, transformers' CLIP."""
    unet = dict(parts["unet"])
    for name in parts["unet"]:
        if name.endswith("attn_temp.to_q.weight"):
            unet[name.replace("to_q.weight", "rotary_emb.freqs")] = frequencies()
    made = text_made(parts["text"], {"text_model.final_layer_norm.weight"})
    text = {}
    for ours, several in made.items():
        for theirs, piece in zip(several, parts["text"][ours].chunk(len(several)), strict=True):
            text[theirs] = piece.clone()
    text["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return {"unet": unet, "text": text, "first_stage": diffusers_form(parts["first_stage"])}


def diffusers_form(state: Tensors) -> Tensors:
    """An autoencoder under diffusers' names; its attention as matrices."""
    # The function under test finds a name among those of a file; here every name is asked for in both forms.
    theirs = {}
    for ours, tensor in state.items():
        name = autoencoder_made([ours], _AnyBut(ours))[ours][0]
        flat = tensor.flatten(1) if "attentions" in name and tensor.ndim == 4 else tensor
        theirs[name] = flat.clone()
    return theirs


class _AnyBut:
    """Stands for a file that has every name but one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __contains__(self, name: object) -> bool:
        return name != self._name

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1


@pytest.fixture(scope="session")
def files(published: dict[str, Tensors], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options that name the files of the tiny model."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({"model": {}, "ema": published["unet"], "opt": {"step": 7}}, folder / "seine.pt")
    save_file(published["first_stage"], str(folder / "vae.safetensors"))
    save_file(published["text"], str(folder / "text.safetensors"))
    return {
        "file": str(folder / "seine.pt"),
        "autoencoder": str(folder / "vae.safetensors"),
        "text_encoder": str(folder / "text.safetensors"),
    }


@pytest.fixture
def made(files: dict[str, str], stage_context: Callable[..., Any]) -> Callable[..., tuple[Seine, Any]]:
    """A stage with the tiny model, and its context: ``made(dtype="bfloat16", steps=3)``."""

    def make(*, dtype: str = "float32", **options: Any) -> tuple[Seine, Any]:
        context = stage_context(dtype=dtype)
        return Seine(SeineOptions(**files, **{"steps": 2, **options}), context), context

    return make
