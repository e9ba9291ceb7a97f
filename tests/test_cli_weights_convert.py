"""``animegen weights convert``, on a user's own file and on a published one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")
pytest.importorskip("animegen_torch", reason="animegen-torch is not installed here")

from safetensors import safe_open  # noqa: E402

Call = Callable[..., Any]

PLUGIN = """
    from dataclasses import dataclass
    from animegen import StageSpec, Weight, hookimpl, option

    @dataclass(frozen=True)
    class HeavyOptions:
        file: str | None = option(None, "Taken as it is.", file=True)

    @hookimpl
    def animegen_inpainters():
        model = Weight("model.ckpt", ("https://example.org/model.ckpt",), "CC-BY-4.0", "{sha}")
        return [StageSpec("heavy", "animegen_heavy:Heavy", "Needs a file.", HeavyOptions, weights=(model,))]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"net.a": torch.ones(8, 8), "net.b": torch.ones(8), "text.c": torch.ones(4)}}, path)
    return path


def test_a_file_of_ones_own(model: Path, finish: Call) -> None:
    done = finish("weights", "convert", str(model), "--dtype", "float16", "--without", "text.", "--json")
    made = json.loads(done.out)
    target = model.with_name("model.float16.pruned.safetensors")
    assert made == {"path": str(target), "size": target.stat().st_size, "tensors": 2, "left_out": 1, "made": True}
    with safe_open(str(target), framework="pt") as file:
        assert file.get_tensor("net.a").dtype == torch.float16
        assert file.metadata()["source_file"] == "model.ckpt"
    content = target.read_bytes()
    again = finish("weights", "convert", str(model), "--dtype", "float16", "--without", "text.")
    assert again.code == 0 and "here" in again.err and target.read_bytes() == content
    wrong = finish("weights", "convert", str(target))
    assert wrong.code == 2 and "is safetensors already" in wrong.err
    wrong = finish("weights", "convert", str(model), "--without", "x.")
    assert wrong.code == 2 and "nothing that begins with 'x.'" in wrong.err
    model.write_bytes(b"<html><title>Not found</title>")
    wrong = finish("weights", "convert", str(model))
    assert wrong.code == 4 and "a web page" in wrong.err


def test_a_published_file_keeps_its_licence(model: Path, finish: Call, install: Call) -> None:
    import hashlib

    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    env = {"PYTHONPATH": str(install("animegen-heavy", PLUGIN.format(sha=digest)))}
    absent = finish("weights", "convert", "heavy", env=env)
    assert absent.code == 3 and "animegen weights fetch heavy/model.ckpt" in absent.err
    assert finish("weights", "fetch", "heavy", "--from", str(model), env=env).code == 0
    done = finish("weights", "convert", "heavy", "--dtype", "bfloat16", env=env)
    assert done.code == 0, done.err
    target = Path(finish("weights", "path", "heavy/model.ckpt", env=env).out.strip()).with_name(
        "model.bfloat16.safetensors"
    )
    assert f"-o heavy.file={target}" in done.err
    with safe_open(str(target), framework="pt") as file:
        facts = file.metadata()
    assert facts["license"] == "CC-BY-4.0" and facts["source"] == "https://example.org/model.ckpt"
    assert facts["source_sha256"] == digest
