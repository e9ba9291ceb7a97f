"""The figures we hold to on real material, so that no change loses them unseen. Skipped where there is none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.data, pytest.mark.slow]
ASKED = {"interpolator": ("flow", "crossfade"), "metric": ("psnr", "ssim-wang2004", "line-chamfer")}


def script(name: str, data: Path, *options: str) -> str:
    """What a script of ``benchmarks/`` prints."""
    return printed(str(ROOT / "benchmarks" / name), "--data", str(data), *options)


def printed(*command: str) -> str:
    """What Python prints when it runs a command."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_flow_beats_the_crossfade_on_every_measure(real_data, tmp_path):
    pytest.importorskip("animegen_eval")
    asked = [f"--{kind}={name}" for kind, names in ASKED.items() for name in names]
    how = ("--gap=2", "--parts=12", "--by=clip", f"--out={tmp_path}", "--json")
    document = json.loads(printed("-m", "animegen_cli", "evaluate", str(real_data / "clips"), *asked, *how))
    figures = [one for one in document["figures"] if one["clip"] and one["headline"] and not one["control"]]
    found = {(one["config"], one["quantity"], one["clip"]): one["mean"] for one in figures}
    clips = sorted({one["clip"] for one in figures})
    assert len(clips) >= 5

    def means(stage, metric):
        return np.array([found[stage, metric, clip] for clip in clips])

    gain = means("flow", "psnr") - means("crossfade", "psnr")
    assert gain.mean() >= 3.0
    assert gain.min() >= -0.2
    assert means("flow", "ssim-wang2004").mean() > means("crossfade", "ssim-wang2004").mean()
    assert means("flow", "line-chamfer").mean() < means("crossfade", "line-chamfer").mean()


def test_panels_and_their_order(real_data):
    text = script("pages.py", real_data)
    (total,) = re.findall(r"^= all .*$", text, re.MULTILINE)
    assert float(re.findall(r"[01]\.\d+", total)[0]) >= 0.9
    assert "19/19" in total


def test_balloons_with_and_without_text_boxes(real_data):
    text = script("balloons.py", real_data)
    annotated, detected, _ = text.split("\n\n")[:3]
    overlaps = {name: float(iou) for name, iou in re.findall(r"^(\w+) +\d+ +([01]\.\d+)", annotated, re.MULTILINE)}
    for title in ("PageBlanche", "PepperCarrot17", "ToriNoMe"):
        assert overlaps[title] >= 0.95
    assert overlaps["HarukoSan"] >= 0.76  # polygons inside the outline, sound effects counted as balloons
    (f1,) = re.findall(r"^all +\d+ +\d+ +[01]\.\d+ +[01]\.\d+ +([01]\.\d+)", detected, re.MULTILINE)
    assert float(f1) >= 0.84
