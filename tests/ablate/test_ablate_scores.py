"""``animegen ablate``: scores, effects, tables, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from animegen_eval.tables import read_rows

Call = Callable[..., Any]
Options = tuple[str, ...]


def test_scores_effects_and_tables(animegen: Call, table: Path, counts: Call, eight: Options) -> None:
    metrics = ("--metric", "transition", "--metric", "endpoints", "--scores")
    result = animegen("ablate", table, *eight[:-1], *metrics)
    assert result.code == 0, result.err
    study = Path("runs/ablation")
    assert result.out.splitlines()[-1] == str(study / "table.md")
    for name in ("frames.parquet", "frames.csv", "clips.parquet", "clips.csv", "summary.json"):
        assert (study / name).is_file(), name
    analysis = json.loads((study / "analysis.json").read_text())
    effects = {one["metric"]: {e["name"]: e["test"]["mean"] for e in one["effects"]} for one in analysis["effects"]}
    assert set(effects["blend-residual"]) >= {"balloon-removal", "preprocessing", "upsampling"}
    # The upsampler keeps the frames it is given, so at equal times it changes nothing whatever.
    assert {effects[name]["upsampling"] for name in effects} == {0}
    # Panels as drawn are the reference in every cell: brightened, a clip ends a level away from them.
    assert analysis["skipped"]["endpoint-psnr"].endswith("infinite in a cell")
    ends = [row for row in read_rows(study) if row.quantity == "endpoint-psnr" and not row.control]
    assert {row.config[1]: round(row.value or 0, 1) for row in ends if row.config[0] == row.config[2] == "0"} == {
        "0": float("inf"),
        "1": 48.1,
    }
    record = json.loads((study / "study.json").read_text())
    assert record["references"]["panels"] == "as drawn"
    assert [pair["id"] for pair in record["choice"]["pairs"]]
    assert "| 111 |" in (study / "table.md").read_text()
    summary = json.loads((study / "summary.json").read_text())
    described = {one["name"]: one["summary"] for metric in summary["metrics"] for one in metric["quantities"]}
    assert described["blend-residual"] == "what no mixture of the panels explains"
    assert len(summary["inputs"]) == 24
    assert summary["command"] and summary["environment"] and summary["created"]


def test_a_metric_that_breaks_on_a_pair_is_told(animegen: Call, table: Path, counts: Call, eight: Options) -> None:
    result = animegen("ablate", table, *eight[:-1], "--metric", "fragile")
    assert result.code == 6, result.err
    assert "fragile raised ValueError: too much for it" in result.err
    failures = json.loads(Path("runs/ablation/summary.json").read_text())["failures"]
    assert {failure["clip"] for failure in failures} == {"three"}
    (effects,) = json.loads(Path("runs/ablation/analysis.json").read_text())["effects"]
    assert (effects["n"], effects["dropped"][0]["unit"]) == (2, "three")


def test_pairs_of_one_title_are_said_to_be(animegen: Call, table: Path, counts: Call, eight: Options) -> None:
    table.write_text(table.read_text().replace("\tB", "\tA"))
    result = animegen("ablate", table, *eight[:-1], "--scores", "--metric", "ghost-ratio")
    assert result.code == 0, result.err
    assert "5 titles were wanted; there are 1: what is found holds for this one" in result.err
    effects = json.loads(Path("runs/ablation/analysis.json").read_text())["effects"]
    assert all(effect["titles"] is None for one in effects for effect in one["effects"])
