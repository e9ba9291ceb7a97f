"""A file that is not ToonCrafter's says what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from animegen.errors import InputError, MissingError
from animegen_testing.seeded_weights import seeded_array
from animegen_tooncrafter.checkpoint import ModelConfiguration, inspect, new_part, part_of
from animegen_tooncrafter.checkpoint.parts import PREFIXES
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.resampler import ResamplerConfiguration
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration

State = dict[str, Tensor]
Write = Callable[[Path, State], None]
NARROW = UNetConfiguration(
    model_channels=32,
    num_res_blocks=1,
    attention_resolutions=(1,),
    channel_mult=(1,),
    num_head_channels=16,
    context_dim=32,
)
TINY = ModelConfiguration(
    unet=NARROW,
    first_stage=FirstStageConfiguration(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1),
    resampler=ResamplerConfiguration(dim=32, depth=1, dim_head=16, heads=2, embedding_dim=32, output_dim=32),
)


@pytest.fixture(scope="module")
def model() -> State:
    """A pruned model, small enough to be written forty times."""
    state: State = {}
    for part in ("unet", "first_stage", "projector"):
        with torch.device("meta"):
            like = new_part(part, TINY).state_dict()
        for name, one in like.items():
            state[PREFIXES[part] + name] = torch.from_numpy(seeded_array(name, tuple(one.shape)))
    return state


def test_the_model_itself_loads(tmp_path: Path, model: State) -> None:
    save_file(model, tmp_path / "a.safetensors")
    assert inspect(tmp_path / "a.safetensors").missing == ("text", "image")


def data(content: bytes) -> Write:
    def write(path: Path, _: State) -> None:
        path.write_bytes(content)

    return write


def of(change: Callable[[State], object]) -> Write:
    def write(path: Path, state: State) -> None:
        torch.save(change(state), path)

    return write


def names(*given: str, shape: tuple[int, ...] = (2, 2), **more: tuple[int, ...]) -> Write:
    shapes = dict.fromkeys(given, shape) | {name.replace("__", "."): one for name, one in more.items()}
    return of(lambda _: {name: torch.ones(one) for name, one in shapes.items()})


def cut(share: float, *, safe: bool = False) -> Write:
    def write(path: Path, state: State) -> None:
        if safe:
            save_file(state, path)
        else:
            torch.save(state, path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])

    return write


def without(state: Mapping[str, Tensor], *beginnings: str) -> State:
    return {name: one for name, one in state.items() if not name.startswith(beginnings)}


def plain_decoder(state: State) -> State:
    """As in DynamiCrafter's files."""
    return {name: one for name, one in state.items() if "attn_refinement" not in name and "time_" not in name}


def image_model(context: int) -> Write:
    """The names that tell Stable Diffusion."""
    key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    rest = ("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.conv_in.weight")
    return of(lambda _: dict.fromkeys(rest, torch.ones(2, 2, 1, 1)) | {key: torch.ones(320, context)})


def control_net(context: int) -> Write:
    key = "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    return of(
        lambda _: {"control_model.input_hint_block.0.weight": torch.ones(16, 3, 3, 3), key: torch.ones(320, context)}
    )


class Program:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


def change(name: str, make: Callable[[Tensor], Tensor]) -> Write:
    return of(lambda state: state | {name: make(state[name])})


OUT = "model.diffusion_model.out.2.weight"
WRONG: dict[str, tuple[Write, str]] = {
    "empty": (data(b""), "is empty"),
    "web page": (data(b"<!DOCTYPE html><html><title>Sign in - Hugging Face</title>"), "a web page ('Sign in - Hugging"),
    "git-lfs": (data(b"version https://git-lfs.github.com/spec/v1\noid sha256:e4\nsize 10501721796\n"), "git-lfs"),
    "text": (data(b"Entry not found"), "it is text that starts with 'Entry not found'"),
    "zeros": (data(bytes(9000)), "as a download does that never finished"),
    "cut pickle": (cut(0.6), "is cut off"),
    "cut safetensors": (cut(0.99, safe=True), "is cut off: "),
    "cut within the table": (cut(0.01, safe=True), "is cut off: its table alone takes"),
    "program": (of(lambda state: {"state_dict": state, "hyper_parameters": Program()}), "builtin"),
    "one tensor": (of(lambda _: torch.ones(3)), "holds no parameters by name: one tensor of shape 3"),
    "nothing": (of(lambda _: {"epoch": 3}), "holds no parameters by name: a dict of epoch (int)"),
    "DynamiCrafter": (of(plain_decoder), "holds DynamiCrafter, which ToonCrafter began from"),
    "Stable Diffusion 1.5": (image_model(768), "holds Stable Diffusion 1.x, which draws single pictures"),
    "Stable Diffusion 2.1": (image_model(1024), "holds Stable Diffusion 2.x, which draws single pictures"),
    "SDXL": (
        names("conditioner.embedders.0.transformer.x", "model.diffusion_model.input_blocks.0.0.weight"),
        "holds Stable Diffusion XL, which draws single pictures",
    ),
    "ControlNet 1.5": (control_net(768), "a ControlNet of Stable Diffusion 1.x, not a sketch encoder"),
    "ControlNet 2.1": (control_net(1024), "a ControlNet of Stable Diffusion 2.x, not a sketch encoder"),
    "ControlNet of diffusers": (names("controlnet_cond_embedding.conv_in.weight"), "holds a ControlNet, not"),
    "RIFE": (names("module.block0.conv0.0.0.weight", "module.block0.lastconv.0.weight"), "holds RIFE, not ToonCrafter"),
    "autoencoder": (names("encoder.down.0.block.0.conv1.weight", "decoder.conv_in.weight"), "an autoencoder alone"),
    "autoencoder, prefixed": (
        of(lambda state: without(plain_decoder(state), "model.", "image_proj")),
        "holds an autoencoder without ToonCrafter's dual-reference decoder",
    ),
    "autoencoder of diffusers": (names("decoder.up_blocks.0.resnets.0.conv1.weight"), "an autoencoder in diffusers'"),
    "LoRA": (names("lora_unet_down_blocks_0_attentions_0.lora_down.weight"), "holds a LoRA"),
    "LoRA of PEFT": (names("base_model.model.down_blocks.0.attn1.to_q.lora_A.weight"), "holds a LoRA"),
    "split of diffusers": (
        names("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q.weight", "down_blocks.0.temp_convs.0.x"),
        "holds a video model in diffusers' form, not ToonCrafter",
    ),
    "CLIP of transformers": (names("text_model.encoder.layers.0.mlp.fc1.weight"), "CLIP in the form of transformers"),
    "LaMa": (names("generator.model.1.ffc.convl2l.weight"), "holds LaMa"),
    "unknown": (names("hidden.weight", "hidden.bias"), "holds nothing of ToonCrafter, but 2 tensors (hidden.weight"),
    "one missing": (of(lambda state: without(state, OUT[:-6] + "bias")), "are missing (out.2.bias first)"),
    "other shape": (
        change("model.diffusion_model.time_embed.0.weight", lambda one: one[:, :-1].clone()),
        "1 have another shape (time_embed.0.weight first)",
    ),
    "more than is known": (
        of(lambda state: state | {"model.diffusion_model.input_blocks.1.1.alpha": torch.ones(1)}),
        "1 are unknown (input_blocks.1.1.alpha first)",
    ),
    "nonsense": (
        change("model.diffusion_model.input_blocks.0.0.weight", lambda one: one.flatten()),
        "has the names of ToonCrafter, but not its shapes",
    ),
    "projector of another model": (
        change("image_proj_model.proj_out.weight", lambda one: torch.ones(16, 32)),
        "have another shape (proj_out.bias first)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_is_told_what_it_is(case: str, tmp_path: Path, model: State, capsys: pytest.CaptureFixture[str]) -> None:
    write, says = WRONG[case]
    path = tmp_path / "model.ckpt"
    write(path, model)
    with pytest.raises(InputError) as caught:
        inspect(path)
    assert str(path) in caught.value.message
    assert says in caught.value.message
    assert caught.value.hints
    assert capsys.readouterr().out == "", "nothing in the file was run"


def test_numbers_that_float16_cannot_hold(tmp_path: Path, model: State) -> None:
    torch.save(model | {OUT: torch.full_like(model[OUT], 7e4)}, tmp_path / "a.ckpt")
    checkpoint = inspect(tmp_path / "a.ckpt")
    assert part_of(checkpoint, "unet", dtype=torch.bfloat16) is not None
    with pytest.raises(InputError, match=r"in out.2.weight that float16 cannot hold") as caught:
        part_of(checkpoint, "unet", dtype=torch.float16)
    assert caught.value.hints


def test_a_file_cut_after_it_was_looked_into(tmp_path: Path, model: State) -> None:
    path = tmp_path / "a.ckpt"
    torch.save(model, path)
    checkpoint = inspect(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    for wanted in (torch.bfloat16, None):
        with pytest.raises(InputError, match="has changed since it was looked into"):
            for part in checkpoint.parts:
                part_of(checkpoint, part, dtype=wanted)


def test_lack_of_a_part(tmp_path: Path, model: State) -> None:
    save_file(without(model, "image_proj"), tmp_path / "a.safetensors")
    with pytest.raises(MissingError, match="lacks text, image, projector") as caught:
        inspect(tmp_path / "a.safetensors").require()
    assert caught.value.hints
    with pytest.raises(InputError, match="cannot be read"):
        inspect(tmp_path / "absent.ckpt")
