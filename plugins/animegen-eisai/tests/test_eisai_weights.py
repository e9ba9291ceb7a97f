"""Files of parameters: every published form gives one network, and everything else is told for what it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file

from animegen.errors import InputError
from animegen_eisai.checkpoint import read_flow, read_refinement, read_synthesis
from animegen_eisai.plugin import EisaiOptions
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.stage import Eisai
from animegen_eisai.synthesis import SoftsplatLite
from animegen_torch.rfr import Rfr

Tensors = dict[str, torch.Tensor]
Seeded = Callable[[str], Tensors]
READ: dict[str, Callable[..., torch.nn.Module]] = {"ssl": read_synthesis, "dtm": read_refinement, "flow": read_flow}
MANIFESTS = Path(__file__).parent / "manifests"


@pytest.mark.parametrize(
    ("name", "kind", "manifest", "prefix"),
    [
        ("ssl", SoftsplatLite, "ssl", ""),
        ("dtm", DistanceTransformModule, "dtm", ""),
        ("flow", Rfr, "rfr-in-anime_interp_full", "module.flownet."),
    ],
)
def test_names_shapes_and_types_are_those_of_the_published_file(
    name: str, kind: type[torch.nn.Module], manifest: str, prefix: str
) -> None:
    with gzip.open(MANIFESTS / f"manifest-{manifest}.json.gz", "rt") as file:
        published = {key: (tuple(shape), dtype) for key, (shape, dtype) in json.load(file).items()}
    with torch.device("meta"):
        state = kind().state_dict()
    ours = {prefix + key: (tuple(one.shape), str(one.dtype).removeprefix("torch.")) for key, one in state.items()}
    assert ours == published


def test_counts_of_parameters_are_those_of_the_paper_s_release() -> None:
    with torch.device("meta"):
        synthesis, refinement, flow = SoftsplatLite(), DistanceTransformModule(), Rfr()

    def count(module: torch.nn.Module) -> int:
        return sum(one.numel() for one in module.parameters())

    parts = (synthesis.feature_extractor, synthesis.gridnet_converter, synthesis.gridnet, synthesis.synthesizer)
    assert [count(part) for part in parts] == [1_444_928, 85_472, 1_056_128, 124_723]
    assert (count(refinement.net_nedt), count(refinement.net_tail), count(flow)) == (4_607, 5_960, 4_202_233)


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize(
    "form",
    ["bare", "trained", "module", "nested", "safetensors", "half", "without counters"],
)
def test_every_form_gives_the_same_network(name: str, form: str, seeded: Seeded, tmp_path: Path) -> None:
    state, path = seeded(name), tmp_path / "anything.bin"
    content: Any = state
    if form == "trained":  # a checkpoint of Lightning: everything under the model's name, and the loss beside it
        content = {"state_dict": {f"{name}.{key}": one for key, one in state.items()} | {"loss_lpips.w": torch.ones(1)}}
    elif form == "module":
        content = {f"module.{key}": one for key, one in state.items()}
    elif form == "nested":
        content = {"model_state_dict": {f"module.flownet.{key}": one for key, one in state.items()}, "epoch": 3}
    elif form == "half":
        content = {key: one.half() if one.is_floating_point() else one for key, one in state.items()}
    elif form == "without counters":
        content = {key: one for key, one in state.items() if not key.endswith("num_batches_tracked")}
    if form == "safetensors":
        save_file(state, str(path))
    else:
        torch.save(content, path)
    read = READ[name](path).state_dict()
    assert read.keys() == state.keys()
    tolerance = 1e-3 if form == "half" else 0
    for key, one in state.items():
        assert read[key].dtype == one.dtype
        assert torch.allclose(read[key], one, atol=tolerance, rtol=tolerance), key


@pytest.mark.parametrize(
    ("wanted", "given", "says"),
    [
        ("ssl", "dtm", "holds the distance-transform module of EISAI, not SoftsplatLite"),
        ("ssl", "flow", "holds RFR or AnimeInterp, not SoftsplatLite"),
        ("dtm", "ssl", "holds SoftsplatLite of EISAI, not the distance-transform module"),
        ("dtm", "flow", "holds RFR or AnimeInterp, not the distance-transform module"),
        ("flow", "ssl", "holds SoftsplatLite of EISAI, not RFR"),
    ],
)
def test_another_network_is_told_for_what_it_is(
    wanted: str, given: str, says: str, seeded: Seeded, tmp_path: Path
) -> None:
    torch.save(seeded(given), tmp_path / "x.pt")
    with pytest.raises(InputError, match=says):
        READ[wanted](tmp_path / "x.pt")


def test_raft_is_no_rfr(seeded: Seeded, tmp_path: Path) -> None:
    state = {key: one for key, one in seeded("flow").items() if not key.startswith("attention2")}
    torch.save({f"module.{key}": one for key, one in state.items()}, tmp_path / "raft.pth")
    with pytest.raises(InputError, match=r"RAFT|RFR"):
        read_flow(tmp_path / "raft.pth")


@pytest.mark.parametrize("name", READ)
def test_what_lacks_a_tensor_or_holds_no_numbers_is_refused(name: str, seeded: Seeded, tmp_path: Path) -> None:
    state = seeded(name)
    last = [key for key in state if key.endswith("weight")][-1]
    torch.save({key: one for key, one in state.items() if key != last}, tmp_path / "less.pt")
    with pytest.raises(InputError, match=r"missing"):
        READ[name](tmp_path / "less.pt")
    torch.save(state | {last: torch.full_like(state[last], float("nan"))}, tmp_path / "nan.pt")
    with pytest.raises(InputError, match="not numbers"):
        READ[name](tmp_path / "nan.pt")
    torch.save(state | {last: torch.zeros(3)}, tmp_path / "shape.pt")
    with pytest.raises(InputError, match="another shape"):
        READ[name](tmp_path / "shape.pt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"<!doctype html><title>Quota exceeded</title>", "web page"),
        (b"PK\x03\x04rest", r"cut off|damaged"),
    ],
)
def test_what_is_no_file_of_parameters(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "eisai_ssl.pt").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_synthesis(tmp_path / "eisai_ssl.pt")


def test_the_stage_says_how_to_get_the_right_file(files: dict[str, Path], stage_context: Callable[..., Any]) -> None:
    mixed = files | {"eisai_dtm.pt": files["eisai_ssl.pt"]}
    image = np.zeros((128, 128, 3), np.uint8)
    with pytest.raises(InputError) as caught:
        Eisai(EisaiOptions(size="own"), stage_context(weights=mixed))(image, image, [0.5])
    assert "animegen weights fetch eisai/eisai_dtm.pt" in caught.value.hints[0]
