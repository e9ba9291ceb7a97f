"""``animegen train eisai --device cpu,cpu``: two processes learn what one does from the same samples."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("animegen_cli")

from animegen.weights.store import WeightStore
from animegen_eisai.training.trainer import BEST, LAST
from animegen_eisai.weights import DTM, SSL

OPTIONS = {
    "width": 160,
    "height": 128,
    "batch": 1,
    "begin": "scratch",
    "perceptual": 0,
    "validate_every": 1,
    "held_out": 0.25,
    "workers": 0,
}


def train(home: Path, material: Path, out: Path, device: str, accumulate: int) -> None:
    """As a user does: two steps on the command line, with drawn parameters in the place of the published ones."""
    command = [sys.executable, "-m", "animegen_cli", "train", "eisai", str(material), "--out", str(out)]
    command += ["--steps", "2", "--seed", "5", "--device", device, "--dtype", "float32"]
    for name, value in {**OPTIONS, "accumulate": accumulate}.items():
        command += ["-o", f"trainer.{name}={value}"]
    environment = {**os.environ, "ANIMEGEN_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def table(path: Path) -> list[list[float]]:
    with path.open(newline="") as file:
        return [[float(value) for value in row] for row in list(csv.reader(file))[1:]]


@pytest.mark.slow
def test_two_processes_learn_what_one_does_that_adds_up_two_batches(
    files: dict[str, Path], material: Path, tmp_path: Path
) -> None:
    store = WeightStore(tmp_path / "home", environ={})
    for weight in (SSL, DTM):
        store.fetch("animegen-eisai", weight, source_file=files[weight.file])
    one, two = tmp_path / "one", tmp_path / "two"
    train(store.home, material, one, "cpu", 2)
    train(store.home, material, two, "cpu,cpu", 1)
    for name in ("loss.csv", "validation.csv"):
        rows = table(one / name)
        assert [row[0] for row in rows] == [1, 2]
        for row, other in zip(rows, table(two / name), strict=True):
            assert other == pytest.approx(row, rel=1e-5)
    for name in (BEST, LAST):
        alone, shared = load_file(str(one / name)), load_file(str(two / name))
        assert alone.keys() == shared.keys()
        for key, tensor in alone.items():
            torch.testing.assert_close(shared[key], tensor, atol=1e-4, rtol=1e-4, msg=key)
