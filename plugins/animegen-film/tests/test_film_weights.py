"""Parameters from every kind of file that FILM is published in, and from files that are none."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file

from animegen.errors import InputError
from animegen_film.architecture import Architecture, from_tensorflow, plain_name
from animegen_film.checkpoint import read_network, untrained_network
from animegen_film.network import Film
from animegen_film.tensorflow_files import Bundle, is_bundle

TENSORFLOW = Path(__file__).parent / "tensorflow"
TINY = Architecture(filters=2, flow_filters=(2, 4, 4, 6))
"""The sizes of the variables in that folder, which TensorFlow 2.15 wrote as a SavedModel."""
Tensors = dict[str, torch.Tensor]


def repacked(name: str) -> str:
    return name if "output_conv" in name else name.replace(".0.weight", ".conv.weight").replace(".0.bias", ".conv.bias")


def same(network: Film, state: Tensors) -> bool:
    return all(torch.equal(tensor, state[name].to(tensor)) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("rename", [str, repacked, "module.{}".format, "_orig_mod.net.{}".format])
@pytest.mark.parametrize("kind", ["safetensors", "pickle"])
def test_every_way_of_naming_is_read(
    rename: Callable[[str], str], kind: str, small: Architecture, seeded: Callable[..., Tensors], tmp_path: Path
) -> None:
    state = {rename(name): tensor for name, tensor in seeded().items()}
    path = tmp_path / "film"
    if kind == "safetensors":
        save_file(state, str(path))
    else:
        torch.save({"state_dict": state, "epoch": 3}, path)
    assert same(read_network(path, architecture=small), seeded())


def test_half_precision_is_read_into_what_is_computed_in(
    small: Architecture, seeded: Callable[..., Tensors], tmp_path: Path
) -> None:
    path = tmp_path / "film.safetensors"
    save_file({name: tensor.half() for name, tensor in seeded().items()}, str(path))
    exact = read_network(path, architecture=small)
    assert exact.dtype == torch.float32
    assert same(exact, {name: tensor.half().float() for name, tensor in seeded().items()})
    assert read_network(path, architecture=small, dtype=torch.bfloat16).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("half", [False, True])
def test_the_port_s_programs_are_read_and_never_run(
    half: bool, small: Architecture, seeded: Callable[..., Tensors], tmp_path: Path
) -> None:
    """A TorchScript archive whose modules lie as the port's do; its program does something else altogether."""
    root = torch.nn.Module()
    for name, tensor in seeded().items():
        *parts, last = name.split(".")
        here = root
        for part in parts:
            if part not in dict(here.named_children()):
                here.add_module(part, torch.nn.Module())
            here = getattr(here, part)
        here.register_parameter(last, torch.nn.Parameter((tensor.half() if half else tensor).clone()))
    path = tmp_path / "film_net.pt"
    torch.jit.script(root).save(str(path))
    expected = {name: (tensor.half() if half else tensor).float() for name, tensor in seeded().items()}
    assert same(read_network(path, architecture=small), expected)


@pytest.mark.parametrize("file", ["variables.index", "variables.data-00000-of-00001"])
def test_the_original_s_variables_are_read_without_tensorflow(file: str) -> None:
    """Each variable was filled from its own name when TensorFlow wrote it."""
    network = read_network(TENSORFLOW / file, architecture=TINY)
    bundle = Bundle(TENSORFLOW / file)
    names = from_tensorflow(bundle.names, TINY)
    assert len(names) == len(bundle.names) == 82
    state = network.state_dict()
    for full, ours in names.items():
        shape = bundle.entries[bundle.names[full]].shape
        drawn = np.random.Generator(np.random.PCG64(zlib.crc32(f"{full}:0".encode()))).standard_normal(shape)
        tensor = torch.from_numpy(drawn.astype(np.float32))
        assert torch.equal(state[ours], tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor), full


def test_each_variable_of_the_original_is_found_where_the_port_has_it() -> None:
    names = {
        "film_net/feat_net/sub_extractor/cfeat_conv_5/kernel:0": "extract.extract_sublevels.convs.2.1.0.weight",
        "predict_flow/flow_predictor_0/conv_4/bias": "predict_flow._predictors.2._convs.4.0.bias",
        "predict_flow/flow_predictor_2/conv_1/kernel": "predict_flow._predictors.0._convs.1.0.weight",
        "predict_flow/flow_predictor_shared/conv_0/kernel": "predict_flow._predictor._convs.0.0.weight",
    }
    fusion = ["fuse.convs.3.0.0", "fuse.convs.3.1.0", "fuse.convs.3.2.0", "fuse.convs.2.0.0", "fuse.convs.2.1.0"]
    fusion += ["fuse.convs.2.2.0", "fuse.convs.1.0.0", "fuse.convs.1.1.0", "fuse.convs.1.2.0", "fuse.convs.0.0.0"]
    fusion += ["fuse.convs.0.1.0", "fuse.convs.0.2.0", "fuse.output_conv"]
    for first in (0, 7):  # Keras counts on from the layers that were there before
        wanted = dict(names)
        for number, ours in enumerate(fusion, start=first):
            wanted[f"fusion/conv2d{f'_{number}' if number else ''}/kernel"] = f"{ours}.weight"
        assert from_tensorflow({**wanted, "save_counter": "", "optimizer/iter": ""}) == wanted


def test_a_bundle_is_known_by_its_bytes(small_file: Path, tmp_path: Path) -> None:
    assert is_bundle(TENSORFLOW / "variables.index")
    assert not is_bundle(small_file) and not is_bundle(tmp_path / "nothing")
    other = tmp_path / "renamed"
    other.write_bytes((TENSORFLOW / "variables.index").read_bytes())
    assert is_bundle(other)


def damaged(content: bytes) -> list[bytes]:
    footer = content[-48:]
    return [
        content[-48:],
        b"\xff" * 40 + footer[40:],
        content[:100] + b"\xff" * 200 + content[300:],
        b"\0" * (len(content) - 48) + footer,
    ]


def test_a_broken_index_is_told(tmp_path: Path) -> None:
    data = (TENSORFLOW / "variables.data-00000-of-00001").read_bytes()
    path = tmp_path / "variables.index"
    (tmp_path / "variables.data-00000-of-00001").write_bytes(data)
    for content in damaged((TENSORFLOW / "variables.index").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"variables\.index"):
            read_network(path, architecture=TINY)


def test_variables_that_lack_a_part_are_told(tmp_path: Path) -> None:
    path = tmp_path / "variables.index"
    path.write_bytes((TENSORFLOW / "variables.index").read_bytes())
    with pytest.raises(InputError, match="data-00000-of-00001"):
        read_network(path, architecture=TINY)
    data = (TENSORFLOW / "variables.data-00000-of-00001").read_bytes()
    (tmp_path / "variables.data-00000-of-00001").write_bytes(data[:9000])
    with pytest.raises(InputError, match=r"cut off|damaged"):
        read_network(path, architecture=TINY)
    path.unlink()
    with pytest.raises(InputError, match=r"no variables\.index beside it"):
        read_network(tmp_path / "variables.data-00000-of-00001", architecture=TINY)


def test_the_graph_beside_the_variables_is_refused_with_the_way_to_them(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(b"\x08\x01")
    with pytest.raises(InputError) as caught:
        read_network(path)
    assert str(Path("variables") / "variables.index") in " ".join(caught.value.hints)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("fuse.output_conv.bias"), "1 of 82 tensors are missing"),
        (lambda state: state.update({"fuse.output_conv.bias": torch.ones(4)}), "have another shape"),
        (lambda state: state.update({"fuse.more": torch.ones(4)}), "not wanted"),
        (lambda state: state.update({"fuse.output_conv.bias": torch.full((3,), torch.nan)}), "not numbers"),
        (lambda state: state.update({"module.fuse.output_conv.bias": torch.ones(3)}), "two networks"),
    ],
)
def test_a_file_that_is_not_all_of_it_is_refused(
    change: Callable[[Tensors], Any], says: str, small: Architecture, seeded: Callable[..., Tensors], tmp_path: Path
) -> None:
    state = dict(seeded())
    change(state)
    torch.save(state, tmp_path / "film.pt")
    with pytest.raises(InputError, match=says):
        read_network(tmp_path / "film.pt", architecture=small)


def test_another_model_is_named(tmp_path: Path) -> None:
    torch.save({"block0.conv0.0.0.weight": torch.ones(1)}, tmp_path / "flownet.pkl")
    with pytest.raises(InputError, match="RIFE"):
        read_network(tmp_path / "flownet.pkl")


def test_the_class_defaults_of_the_original_are_another_network(
    small: Architecture, seeded: Callable[..., Tensors], tmp_path: Path
) -> None:
    torch.save(seeded(), tmp_path / "film.pt")
    with pytest.raises(InputError, match="have another shape"):
        read_network(tmp_path / "film.pt")


def test_names_of_the_port_stay_as_they_are(small: Architecture) -> None:
    assert all(plain_name(name) == name and plain_name(repacked(name)) == name for name in small.shapes)


def test_random_parameters_are_the_same_each_time(small: Architecture) -> None:
    one, other = (untrained_network(dtype=torch.float32, architecture=small) for _ in range(2))
    assert same(one, other.state_dict())
    with torch.inference_mode():
        drawn = one.prepare()(*torch.rand(2, 1, 3, 64, 64))
    assert bool(drawn.isfinite().all())
