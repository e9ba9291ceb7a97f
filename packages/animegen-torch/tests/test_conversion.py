"""Files written anew as safetensors: same numbers, same bytes each time, one tensor in memory."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from animegen.errors import InputError, UsageError
from animegen_torch.conversion import convert
from animegen_torch.memory import peak_memory

MIB = 2**20
STATE = {
    "b.weight": torch.arange(12.0).view(3, 4),
    "a.bias": torch.ones(3, dtype=torch.float64),
    "a.turned": torch.arange(6.0).view(2, 3).T,
    "a.count": torch.tensor(5),
    "a.empty": torch.ones(0, 3),
    "table": torch.linspace(0, 1, 7),
    "other.weight": torch.full((4,), 0.1, dtype=torch.bfloat16),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {f"module.{name}": one for name, one in STATE.items()}, "epoch": 2}, path)
    return path


def test_the_numbers_stay(source: Path) -> None:
    made = convert(source, source.with_name("a.safetensors"), facts={"license": "MIT"})
    assert (made.tensors, made.left_out, made.made) == (len(STATE), 0, True)
    assert made.bytes == made.path.stat().st_size
    found = load_file(made.path)
    assert found.keys() == STATE.keys()
    assert all(found[name].dtype == one.dtype and torch.equal(found[name], one) for name, one in STATE.items())


def test_half_precision_and_parts_left_out(source: Path) -> None:
    made = convert(source, source.with_name("a.safetensors"), dtype="float16", without=("other.", "a.bias"))
    found = load_file(made.path)
    assert made.left_out == 2 and found.keys() == STATE.keys() - {"other.weight", "a.bias"}
    kinds = {name: one.dtype for name, one in found.items()}
    assert kinds["b.weight"] == kinds["a.turned"] == torch.float16
    assert kinds["table"] == torch.float32, "a table of no layer keeps its digits"
    assert kinds["a.count"] == torch.int64
    assert torch.equal(found["a.turned"], STATE["a.turned"].half())


def test_the_same_bytes_again_and_all_facts_kept(source: Path) -> None:
    first = convert(source, source.with_name("a.safetensors"), facts={"license": "MIT", "source": "hf://a/b/c@1"})
    content = first.path.read_bytes()
    assert not convert(source, first.path, facts={"license": "MIT", "source": "hf://a/b/c@1"}).made
    convert(source, first.path, facts={"source": "hf://a/b/c@1", "license": "MIT"}, force=True)
    assert first.path.read_bytes() == content
    # What the original says of itself stays in a copy of the copy.
    again = convert(first.path, source.with_name("b.safetensors"), dtype="bfloat16", facts={"note": "x"})
    with safe_open(str(again.path), framework="pt") as file:
        assert file.metadata() == {"format": "pt", "license": "MIT", "source": "hf://a/b/c@1", "note": "x"}


def test_what_is_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    with pytest.raises(UsageError, match=r"has nothing that begins with 'x.'"):
        convert(source, target, without=("x.",))
    with pytest.raises(UsageError, match="is left without"):
        convert(source, target, without=("a", "b", "other", "table"))
    with pytest.raises(UsageError, match="cannot be written over itself"):
        convert(source, source)
    save_file({"c": torch.ones(1)}, target)
    with pytest.raises(UsageError, match="holds something else") as caught:
        convert(source, target)
    assert "--force" in caught.value.hints[0]
    torch.save({"a.weight": torch.tensor([1e6])}, source)
    with pytest.raises(InputError, match="float16 cannot hold"):
        convert(source, target, dtype="float16", force=True)
    assert load_file(target).keys() == {"c"}, "what was there stays until the new one is whole"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_memory_holds_one_tensor(tmp_path: Path) -> None:
    path = tmp_path / "large.ckpt"
    torch.save({f"layer{i}.weight": torch.rand(MIB) for i in range(40)}, path)
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # what was freed so far must not be used again unseen
    for dtype in (None, "bfloat16"):
        with peak_memory(torch.device("cpu")) as peak:
            convert(path, tmp_path / f"{dtype}.safetensors", dtype=dtype)
        assert peak.bytes < 20 * MIB, "of 160"
