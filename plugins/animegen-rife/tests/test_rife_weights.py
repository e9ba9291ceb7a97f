"""Files of parameters: every published form gives one network, and everything else is told for what it is."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch

from animegen.errors import InputError
from animegen_rife.architecture import ARCHITECTURES
from animegen_rife.checkpoint import read_network

Tensors = dict[str, torch.Tensor]
Seeded = Callable[[str], Tensors]
Checkpoint = Callable[..., Path]

LITE = "4.15.lite"  # the smallest file
HINT = "the next command"


def read(path: Path, asked: str | None = None) -> torch.nn.Module:
    return read_network(path, asked=asked, hints=(HINT,))


@pytest.mark.parametrize("suffix", [".pkl", ".safetensors"])
@pytest.mark.parametrize(
    "rename",
    [
        pytest.param("module.{}".format, id="module"),
        pytest.param("flownet.{}".format, id="flownet"),
        pytest.param("module.flownet.{}".format, id="both"),
        pytest.param(str, id="bare"),
        pytest.param(lambda name: name.replace("block", "blocks.", 1), id="repacked"),
    ],
)
def test_every_way_of_naming_gives_the_same_network(
    rename: Callable[[str], str], suffix: str, seeded: Seeded, checkpoint: Checkpoint
) -> None:
    network = read(checkpoint(LITE, rename=rename, suffix=suffix))
    state = network.state_dict()
    assert state.keys() == seeded(LITE).keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in seeded(LITE).items())
    assert not network.training


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.name)
def test_the_version_is_seen_from_the_tensors_and_not_from_the_name(
    architecture: object, tmp_path: Path, seeded: Seeded
) -> None:
    name = architecture.name  # type: ignore[attr-defined]
    path = tmp_path / "flownet_v9.99.heavy.pkl"
    # Empty storage would do for the shapes, but not for the check that values are numbers.
    torch.save(
        {f"module.{key}": tensor.new_zeros(()).expand(tensor.shape) for key, tensor in seeded(name).items()}, path
    )
    assert read(path).architecture is architecture


def test_what_belongs_to_training_or_to_the_refiner_is_left_out(tmp_path: Path, seeded: Seeded) -> None:
    extra = {
        "module.teacher.0.conv0.0.0.weight": torch.ones(3, 3),
        "module.caltime.0.weight": torch.ones(3),
        "module.contextnet.conv1.conv1.0.weight": torch.ones(3),
        "module.unet.down0.conv1.0.weight": torch.ones(3),
        "module.num_batches_tracked": torch.tensor(4),
    }
    path = tmp_path / "x.pkl"
    torch.save({f"module.{name}": tensor for name, tensor in seeded("4.2").items()} | extra, path)
    assert read(path).state_dict().keys() == seeded("4.2").keys()


@pytest.mark.parametrize("wrapped", ["state_dict", "model"])
def test_parameters_inside_a_training_checkpoint_are_found(wrapped: str, tmp_path: Path, seeded: Seeded) -> None:
    path = tmp_path / "x.ckpt"
    torch.save({"epoch": 3, wrapped: {f"module.{name}": tensor for name, tensor in seeded(LITE).items()}}, path)
    assert read(path).state_dict().keys() == seeded(LITE).keys()


def test_half_precision_files_become_float32(tmp_path: Path, seeded: Seeded) -> None:
    path = tmp_path / "x.pkl"
    torch.save({name: tensor.half() for name, tensor in seeded(LITE).items()}, path)
    state = read(path).state_dict()
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    assert torch.equal(state["encode.cnn0.weight"], seeded(LITE)["encode.cnn0.weight"].half().float())


def test_versions_that_share_a_network_take_each_others_file(checkpoint: Checkpoint) -> None:
    for asked in ("4.15.lite", "4.16.lite", "4.17.lite", None):
        read(checkpoint(LITE), asked)


def test_a_file_of_another_version_is_refused_by_name(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = tmp_path / "flownet_v4.25.pkl"
    shutil.copy(checkpoint(LITE), path)
    with pytest.raises(InputError) as caught:
        read(path, "4.25")
    assert caught.value.message == (f"{path} holds the network of 4.15.lite, 4.16.lite and 4.17.lite, not of 4.25.")
    assert any("-o rife.model=4.15.lite" in hint for hint in caught.value.hints)
    assert HINT in caught.value.hints


def _bytes(data: bytes) -> Callable[[Path, Tensors], None]:
    def write(path: Path, state: Tensors) -> None:
        path.write_bytes(data)

    return write


def _saved(content: Callable[[Tensors], object]) -> Callable[[Path, Tensors], None]:
    return lambda path, state: torch.save(content(state), path)


def _names(*names: str) -> Callable[[Path, Tensors], None]:
    return _saved(lambda _: {name: torch.ones(2, 2) for name in names})


def _cut(share: float, suffix: str) -> Callable[[Path, Tensors], None]:
    def write(path: Path, state: Tensors) -> None:
        from safetensors.torch import save_file

        if suffix == ".pkl":
            torch.save(state, path)
        else:
            save_file(state, str(path))
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return write


def _authors_zip(path: Path, state: Tensors) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_log/flownet.pkl", b"...")
        archive.writestr("train_log/IFNet_HDv3.py", b"...")


def _program(path: Path, state: Tensors) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(path))


class _Anything:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


def _without(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda state: {name: tensor for name, tensor in state.items() if name not in names}


WRONG: dict[str, tuple[Callable[[Path, Tensors], None], str]] = {
    "empty": (_bytes(b""), "is empty"),
    "web page": (_bytes(b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>"), "web page"),
    "git-lfs": (_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 22674688\n"), "git-lfs"),
    "text": (_bytes(b"404: Not Found"), "is no file of parameters"),
    "zeros": (_bytes(bytes(10_000)), "is no file of parameters"),
    "cut pickle": (_cut(0.5, ".pkl"), "is cut off"),
    "cut safetensors": (_cut(0.9, ".safetensors"), "is cut off"),
    "author's zip": (_authors_zip, "train_log/flownet.pkl"),
    "TorchScript": (_program, "TorchScript"),
    "pickle of anything": (_bytes(pickle.dumps(_Anything())), ""),
    "one tensor": (_saved(lambda _: torch.ones(3)), "holds no parameters by name"),
    "nothing": (_saved(lambda _: {}), "holds no parameters by name"),
    "one missing": (_saved(_without("block3.lastconv.0.bias")), "looks like RIFE 4.15.lite, 4.16.lite and 4.17.lite"),
    "one missing, named": (_saved(_without("block3.lastconv.0.bias")), "block3.lastconv.0.bias first"),
    "other shape": (
        _saved(lambda state: state | {"block0.conv0.0.0.weight": torch.ones(1, 2, 3, 3)}),
        "1 of its 128 tensors have another shape",
    ),
    "not numbers": (
        _saved(lambda state: state | {"block0.conv0.0.0.bias": state["block0.conv0.0.0.bias"] * float("nan")}),
        "not numbers",
    ),
    "twice": (
        _saved(lambda state: state | {f"module.{name}": tensor for name, tensor in state.items()}),
        "two networks",
    ),
    "refiner": (_names("contextnet.conv1.conv1.0.weight"), "the refiner of an older RIFE"),
    "RIFE 3": (_names("module.block0.conv0.0.0.weight", "module.block_tea.conv0.0.0.weight"), "a RIFE older than 4.0"),
    "LaMa": (_names("generator.model.1.ffc.convl2l.weight"), "LaMa"),
    "ToonCrafter": (_names("model.diffusion_model.input_blocks.1.1.temopral_conv.conv1.0.weight"), "ToonCrafter"),
    "SEINE": (_saved(lambda _: {"ema": {"down_blocks.0.resnets.0.conv1.weight": torch.ones(2)}}), "a diffusion model"),
    "VGG": (_names("features.0.weight", "features.0.bias"), "VGG"),
    "FILM": (_names("extract.extract_sublevels.convs.0.0.conv.weight"), "FILM"),
    "AnimeInterp": (_names("module.flownet.attention2.conv1.weight", "module.synnet.last.weight"), "AnimeInterp"),
    "EISAI": (_names("gridnet.encoders.0.resnet_1.net.5.running_var"), "EISAI"),
    "unknown": (_names("hidden.weight", "hidden.bias"), "2 tensors (hidden.weight, hidden.bias)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_told_for_what_it_is(case: str, tmp_path: Path, seeded: Seeded) -> None:
    write, says = WRONG[case]
    path = tmp_path / "flownet.pkl"
    write(path, seeded(LITE))
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert says in caught.value.message
    assert caught.value.hints


def test_a_program_in_a_pickle_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flownet.pkl"
    torch.save({"state_dict": {"module.x": torch.ones(1)}, "epoch": _Anything()}, path)
    with pytest.raises(InputError):
        read(path)
    assert capsys.readouterr().out == ""


def test_a_damaged_40_does_not_pass_for_the_42_that_is_inside(tmp_path: Path, seeded: Seeded) -> None:
    path = tmp_path / "flownet_v4.0.pkl"
    torch.save(_without("block0.convblock.0.1.weight")(seeded("4.0")), path)
    with pytest.raises(InputError, match=r"looks like RIFE 4.0 and 4.1"):
        read(path)
