"""Files that are checkpoints, and files that only look like it."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import argparse
import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from safetensors.torch import save_file

from animegen.errors import InputError
from animegen_torch.checkpoint_files import file_format, read_file

STATE = {"a.weight": torch.arange(600.0).view(20, 30), "a.bias": torch.ones(3)}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One state in the three formats, under names that say nothing."""
    paths = {kind: tmp_path / f"{kind}.bin" for kind in ("safetensors", "zip", "legacy")}
    save_file(STATE, str(paths["safetensors"]))
    torch.save(STATE, paths["zip"])
    torch.save(STATE, paths["legacy"], _use_new_zipfile_serialization=False)
    return paths


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("mmap", [True, False])
def test_every_format_is_read_by_its_bytes(files: dict[str, Path], kind: str, mmap: bool) -> None:
    assert file_format(files[kind]) == kind
    state = read_file(files[kind], mmap=mmap)
    assert list(state) == list(STATE) or kind == "safetensors"
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_file_cut_off_anywhere_is_told(files: dict[str, Path], kind: str) -> None:
    data = files[kind].read_bytes()
    for length in sorted({1, 3, 9, 40, len(data) // 4, len(data) // 2, len(data) - 700, len(data) - 1}):
        files[kind].write_bytes(data[:length])
        with pytest.raises(InputError) as caught:
            read_file(files[kind])
        assert str(files[kind]) in caught.value.message and caught.value.hints
        if length > 40:
            assert "cut off" in caught.value.message, (length, caught.value.message)


PAGE = b"<!DOCTYPE html>\n<html><head><title>Google Drive - Virus scan warning</title></head></html>"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty \\(0 bytes\\)"),
        (PAGE, "a web page \\('Google Drive - Virus scan warning'\\), saved in place of the download"),
        (b"\n  <html lang=en><body>Not found</body>", "a web page, saved"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer of git-lfs"),
        (b'{"error": "Invalid username or password."}', 'it is text that starts with \'{"error"'),
        (b"\x1f\x8b\x08\x00rest", "gzip archive"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"\x89PNG\r\n\x1a\n", "it is a picture"),
        (bytes(5000), "starts with 4096 zero bytes"),
        (pickle.dumps({"a": [1, 2]}, 2), "is a pickle, but torch.save did not write it"),
        (b"\x01\x02\x03\xff", "starts with the bytes 01 02 03 ff"),
        (struct.pack("<Q", 1 << 60) + b"{}", "no file of parameters"),
        (struct.pack("<Q", 6) + b"{oops}", "its table cannot be read"),
    ],
)
def test_what_is_no_checkpoint_says_what_it_is(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_file(path)
    assert any("animegen weights" in hint for hint in caught.value.hints)


def test_hints_can_be_a_plugins_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: No such file") as caught:
        read_file(tmp_path / "absent", hints=("animegen weights fetch rife",))
    assert caught.value.hints == ("animegen weights fetch rife",)
    with pytest.raises(InputError, match="cannot be read"):
        read_file(tmp_path)


def test_other_archives_say_what_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "RIFEv4.25.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_log/IFNet_HDv3.py", "code")
        archive.writestr("train_log/flownet.pkl", b"x")
    with pytest.raises(InputError, match=r"zip archive that holds train_log/flownet.pkl") as caught:
        read_file(path)
    assert caught.value.hints == ("unzip RIFEv4.25.zip and name train_log/flownet.pkl",)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(InputError, match="TorchScript archive: a whole program"):
        read_file(path)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("new", [True, False])
def test_programs_are_never_run(tmp_path: Path, new: bool) -> None:
    path, trace = tmp_path / "model.ckpt", tmp_path / "trace"
    for extra, name in ((Bomb(trace), "pathlib.Path"), (argparse.Namespace(lr=1), "argparse.Namespace")):
        torch.save({"state_dict": STATE, "extra": extra}, path, _use_new_zipfile_serialization=new)
        with pytest.raises(InputError, match=rf"holds Python objects besides tensors \(.*{name}") as caught:
            read_file(path)
        assert "safetensors" in caught.value.hints[0]
    assert not trace.exists()


def test_a_table_that_lies_is_told(tmp_path: Path) -> None:
    table = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(table)) + table + bytes(4))
    with pytest.raises(InputError, match="is damaged or cut off"):
        read_file(path)


def test_mapped_tensors_stay_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "large.pt"
    torch.save({"large": torch.zeros(20 << 20, dtype=torch.uint8)}, path)
    from animegen_torch.memory import peak_memory, resident_memory

    if not resident_memory():
        pytest.skip("no account of memory on this system")
    read_file(path)
    with peak_memory(torch.device("cpu"), every=0.0005) as peak:
        state = read_file(path)
    assert peak.bytes < 10 << 20
    state["large"][0] = 7  # a private copy of that page
    assert read_file(path)["large"][0] == 0
