"""Files in the forms that they are published in, and files of something else."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from animegen.errors import InputError
from animegen_seine.checkpoint import inspect
from animegen_seine.model import ModelConfiguration
from animegen_torch.diffusion.published import joined, text_made
from animegen_torch.diffusion.text import TextTower, tokenize

Tensors = dict[str, Tensor]
CPU = torch.device("cpu")


def look(files: dict[str, str], **other: Path) -> Any:
    paths = {**{name: Path(path) for name, path in files.items()}, **other}
    return inspect(paths["file"], paths["autoencoder"], paths["text_encoder"])


def test_sizes_and_tensors_come_from_the_files(
    files: dict[str, str], tiny: ModelConfiguration, parts: dict[str, Tensors]
) -> None:
    checkpoint = look(files)
    assert checkpoint.model == tiny
    for part, wanted in parts.items():
        found = checkpoint.parts[part].tensors(torch.float32, CPU)
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert torch.equal(found[name], tensor), (part, name)


def test_half_precision_keeps_the_embedding_of_time(files: dict[str, str]) -> None:
    found = look(files).parts["unet"].tensors(torch.float16, CPU)
    kept = {name for name, tensor in found.items() if tensor.dtype == torch.float32}
    assert kept == {f"time_embedding.linear_{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")}


@pytest.mark.parametrize("form", ["bare", "safetensors", "module", "with settings", "old attention"])
def test_other_forms_of_the_files(
    form: str, files: dict[str, str], published: dict[str, Tensors], parts: dict[str, Tensors], tmp_path: Path
) -> None:
    path, unet = tmp_path / "some.pt", published["unet"]
    other = {"file": path}
    if form == "bare":
        torch.save(unet, path)
    elif form == "safetensors":
        save_file(unet, str(path))
    elif form == "module":
        torch.save({"ema": {f"module.{name}": tensor for name, tensor in unet.items()}}, path)
    elif form == "with settings":
        torch.save({"model": {}, "ema": unet, "args": argparse.Namespace(lr=1e-4, where=["a"])}, path)
    else:
        names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        state = {}
        for name, tensor in published["first_stage"].items():
            for new, old in names.items():
                name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
            state[name] = tensor
        assert any(".query." in name for name in state)
        torch.save(state, path)
        other = {"autoencoder": path}
    checkpoint = look(files, **other)
    part = "first_stage" if "autoencoder" in other else "unet"
    found = checkpoint.parts[part].tensors(torch.float32, CPU)
    assert all(torch.equal(found[name], tensor) for name, tensor in parts[part].items())


def test_a_whole_checkpoint_serves_for_both(
    files: dict[str, str], published: dict[str, Tensors], parts: dict[str, Tensors], tmp_path: Path
) -> None:
    """As sd-v1-4.ckpt: latent diffusion's names for the autoencoder, a prefix before the text encoder."""
    whole = {f"first_stage_model.{name}": tensor for name, tensor in parts["first_stage"].items()}
    whole |= {f"cond_stage_model.transformer.{name}": tensor for name, tensor in published["text"].items()}
    whole |= {"model.diffusion_model.out.2.bias": torch.zeros(4), "betas": torch.zeros(1000)}
    whole["first_stage_model.loss.logvar"] = torch.zeros(1)
    path = tmp_path / "sd.ckpt"
    torch.save({"state_dict": whole, "epoch": 3}, path)
    checkpoint = look(files, autoencoder=path, text_encoder=path)
    for part in ("first_stage", "text"):
        found = checkpoint.parts[part].tensors(torch.float32, CPU)
        assert all(torch.equal(found[name], tensor) for name, tensor in parts[part].items())


def spoiled(change: Callable[[Tensors], None], unet: Tensors, path: Path) -> Path:
    state = dict(unet)
    change(state)
    save_file(state, str(path))
    return path


def test_wrong_files_say_what_is_wrong(files: dict[str, str], published: dict[str, Tensors], tmp_path: Path) -> None:
    unet, path = published["unet"], tmp_path / "some.safetensors"

    def narrow(state: Tensors) -> None:
        state["conv_in.weight"] = state["conv_in.weight"][:, :4].clone()

    cases: dict[str, tuple[Callable[[Tensors], Any], str]] = {
        "a tensor is missing": (lambda state: state.pop("mid_block.resnets.1.conv1.weight"), "1 are missing"),
        "a tensor more": (lambda state: state.update(extra=torch.zeros(3)), r"1 are unknown \(extra first\)"),
        "another shape": (
            lambda state: state.update({"mid_block.resnets.1.conv1.weight": torch.zeros(3, 3)}),
            "1 have another shape",
        ),
        "its relative": (narrow, "LaVie, which draws clips from a text alone, not SEINE"),
    }
    for what, (change, message) in cases.items():
        with pytest.raises(InputError, match=message):
            look(files, file=spoiled(change, unet, path))
            pytest.fail(what)
    with pytest.raises(InputError, match=r"cut off|damaged"):
        whole = Path(files["autoencoder"]).read_bytes()
        (tmp_path / "short.safetensors").write_bytes(whole[: len(whole) // 2])
        look(files, autoencoder=tmp_path / "short.safetensors").parts["first_stage"].tensors(torch.float32, CPU)
    with pytest.raises(InputError, match="do not belong together: the text encoder gives tokens of 128"):
        wide = {name: tensor.repeat_interleave(2, -1) for name, tensor in published["text"].items()}
        wide = {
            name: tensor.repeat_interleave(2, 0)
            if "layers" in name and name.endswith("weight") and tensor.ndim > 1
            else tensor
            for name, tensor in wide.items()
        }
        save_file(wide, str(tmp_path / "wide.safetensors"))
        look(files, text_encoder=tmp_path / "wide.safetensors")


def test_what_a_pickle_may_not_name_is_refused(files: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"ema": {}, "args": nn.Linear(1, 1)}, path)
    with pytest.raises(InputError, match="bringing them back could run any program"):
        look(files, file=path)


def test_the_text_tower_is_the_one_of_transformers(published: dict[str, Tensors], tiny: ModelConfiguration) -> None:
    """Against the plainest form of CLIP's text encoder, under the names that transformers gives its tensors."""
    state, c = published["text"], tiny.text
    tower = TextTower(c).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in tower.state_dict().items()}
    made = text_made(shapes, state)
    tower.load_state_dict({name: joined(state, several, shapes[name]) for name, several in made.items()})
    ids = tokenize(["a boy looks up", ""])

    def linear(x: Tensor, name: str) -> Tensor:
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (c.width,), state[f"{name}.weight"], state[f"{name}.bias"])

    x = state["text_model.embeddings.token_embedding.weight"][ids]
    x = x + state["text_model.embeddings.position_embedding.weight"]
    before = torch.full((77, 77), -torch.inf).triu(1)
    for number in range(c.layers):
        layer = f"text_model.encoder.layers.{number}"
        y = norm(x, f"{layer}.layer_norm1")
        q, k, v = (
            linear(y, f"{layer}.self_attn.{one}_proj").unflatten(-1, (c.heads, -1)).transpose(1, 2) for one in "qkv"
        )
        scores = (q @ k.mT) * q.shape[-1] ** -0.5 + before
        x = x + linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), f"{layer}.self_attn.out_proj")
        y = linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
        x = x + linear(y * torch.sigmoid(1.702 * y), f"{layer}.mlp.fc2")
    torch.testing.assert_close(tower(ids), norm(x, "text_model.final_layer_norm"), atol=2e-5, rtol=0)
