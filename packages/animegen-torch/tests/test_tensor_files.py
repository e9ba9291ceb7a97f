"""Files looked into without being read."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from safetensors.torch import save_file

from animegen.errors import InputError
from animegen_torch.known_models import name_of_model
from animegen_torch.tensor_files import TensorFile

BASE = torch.arange(24.0)
STATE = {
    "plain": torch.randn(3, 5),
    "turned": torch.randn(4, 2).T,
    "part": BASE[3:9],
    "again": BASE[3:9].view(2, 3),
    "strided": BASE[::5],
    "wide": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "number": torch.tensor(3.5),
    "empty": torch.ones(0, 2),
    **{f"of {kind}": torch.ones(3).to(kind) for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int64)},
    "bytes": torch.arange(7, dtype=torch.uint8),
    "odd": torch.ones(3, dtype=torch.bool),
}


def legacy(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def safe(content: Any, path: Path) -> None:
    save_file({name: one.clone(memory_format=torch.contiguous_format) for name, one in content.items()}, path)


@pytest.mark.parametrize("save", [torch.save, legacy, safe])
def test_what_was_saved_is_found(tmp_path: Path, save: Callable[[Any, Path], None]) -> None:
    path = tmp_path / "a"
    save(STATE, path)
    file = TensorFile.open(path)
    stored = file.state()
    assert stored.keys() == STATE.keys()
    assert {name: one.shape for name, one in stored.items()} == {name: tuple(one.shape) for name, one in STATE.items()}
    for found in (file.mapped(stored), dict(file.read(stored))):
        for name, one in STATE.items():
            assert found[name].dtype == one.dtype and torch.equal(found[name], one), name
    halves = dict(file.read(stored, dtype=lambda name, own: torch.float16 if name == "turned" else own))
    assert torch.equal(halves["turned"], STATE["turned"].half()) and halves["plain"].dtype == torch.float32


def test_mapped_tensors_can_be_written_to(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    file = TensorFile.open(tmp_path / "a")
    file.mapped(file.state())["plain"].zero_()
    assert (tmp_path / "a").read_bytes() == before


class Program:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


@pytest.mark.parametrize("save", [torch.save, legacy])
@pytest.mark.parametrize("content", [{"a": Program()}, {"a": torch.nn.Linear(1, 1)}, {"a": Path()}])
def test_objects_are_refused_and_not_run(
    tmp_path: Path, save: Callable[[Any, Path], None], content: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    save(content, tmp_path / "a")
    with pytest.raises(InputError, match="holds Python objects besides tensors"):
        TensorFile.open(tmp_path / "a")
    assert capsys.readouterr().out == ""


def test_a_plain_pickle(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    with pytest.raises(InputError, match=r"torch.save did not write it"):
        TensorFile.open(tmp_path / "a")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("save", [torch.save, legacy, safe])
def test_cut_files(tmp_path: Path, save: Callable[[Any, Path], None], share: float) -> None:
    path = tmp_path / "a"
    save(STATE, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"cut off|damaged"):
        file = TensorFile.open(path)
        dict(file.read(file.state()))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "F32", "shape": [2]},
        3,
    ],
)
def test_tables_that_make_no_sense(tmp_path: Path, entry: Any) -> None:
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(InputError, match="damaged"):
        TensorFile.open(tmp_path / "a")


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        ({"lora_te_text_model.lora_up.weight": (1, 1)}, "a LoRA"),
        ({"module.block0.conv0.0.0.weight": (1, 1)}, "RIFE"),
        ({"control_model.input_hint_block.0.weight": (16, 1, 3, 3)}, "the sketch encoder of ToonCrafter"),
        ({"first_stage_model.decoder.attn_refinement.0.conv.weight": (1,)}, "ToonCrafter"),
        ({"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, 768)}, "Stable Diffusion 1.x in"),
        ({"features.0.weight": (64, 3, 3, 3)}, "VGG"),
    ],
)
def test_known_models(shapes: dict[str, tuple[int, ...]], name: str) -> None:
    assert str(name_of_model(shapes)).startswith(name)


def test_unknown_models() -> None:
    assert name_of_model({"hidden.weight": (1,)}) is None
    assert name_of_model({"block0.conv0.0.0.weight": (1,)}, but=("RIFE",)) is None


class Part(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.register_buffer("table", torch.arange(5).float()[::2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_tensors_are_taken_out_of_a_program_that_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "program.pt"
    part = Part().half()
    torch.jit.script(part).save(str(path))
    with pytest.raises(InputError, match="TorchScript archive"):
        TensorFile.open(path)
    file = TensorFile.open(path, programs=True)
    stored = file.state()
    state = part.state_dict()
    assert stored.keys() == state.keys()
    for found in (file.mapped(stored), dict(file.read(stored))):
        assert all(found[name].dtype == one.dtype and torch.equal(found[name], one) for name, one in state.items())


def test_only_an_archive_of_torchscript_may_name_its_classes(tmp_path: Path) -> None:
    """A pickle that calls a class ``__torch__`` is none, and is read no further."""
    path = tmp_path / "a.pt"
    torch.save(STATE, path)
    bad = tmp_path / "b.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            other = name.endswith("data.pkl")
            target.writestr(name, b"\x80\x02c__torch__.os\nsystem\n)\x81." if other else source.read(name))
    with pytest.raises(InputError, match="Python objects"):
        TensorFile.open(bad)
