"""Folders of evaluations and ablations with numbers that are known, and clips small enough to be made in a blink."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen.imageio import write_image
from animegen.video import write_folder, write_video
from animegen_eval import tables
from animegen_eval.ablation.study import pair_folder
from animegen_eval.controls import crossfade
from animegen_eval.profiles import find_profile
from animegen_eval.rows import Row
from animegen_eval.summary import summarise

FACTORS = (
    ("balloon-removal", ("none", "flat")),
    ("preprocessing", ("none", "descreen")),
    ("upsampling", ("none", "x4")),
)
CODES = tuple(f"{a}{b}{c}" for a in (0, 1) for b in (0, 1) for c in (0, 1))
SIZE = (48, 64)  # height, width

QUANTITIES = (
    {"name": "line-chamfer", "scope": "frame", "better": "lower", "unit": "", "summary": "DoG lines", "reads": []},
    {"name": "endpoint-psnr", "scope": "clip", "better": "higher", "unit": "dB", "summary": "ends", "reads": []},
    {"name": "flicker-mae", "scope": "step", "better": "lower", "unit": "levels", "summary": "steps", "reads": []},
    {"name": "blend-residual", "scope": "clip", "better": "none", "unit": "", "summary": "mix", "reads": []},
)


def value(quantity: str, code: str, pair: int) -> float:
    """A quantity of a pair in a cell: preprocessing turns round with balloon removal in line-chamfer."""
    a, b, c = (int(digit) for digit in code)
    noise = 0.01 * np.random.default_rng([pair, a, b, c, len(quantity)]).standard_normal()
    if quantity == "line-chamfer":
        return 1.0 + 0.05 * pair - 0.2 * a + (0.3 if a else -0.3) * b + noise
    if quantity == "endpoint-psnr":
        return 30 + 2 * a + 20 * noise + pair / 3
    if quantity == "flicker-mae":
        return 4 + pair / 5 + noise
    return 0.2 + noise


@pytest.fixture
def make_rows() -> Callable[..., list[Row]]:
    """Rows of pairs, cells and controls."""
    return rows_of


def rows_of(pairs: Sequence[tuple[str, str]], codes: Sequence[str] = CODES) -> list[Row]:
    """Rows of (title, name) pairs: all cells, three controls, and the frame-repeat control at native rate."""
    made = []
    for number, (title, clip) in enumerate(pairs):
        for quantity in QUANTITIES:
            variant = {"frame": "middles", "step": "steps", "clip": "clip"}[str(quantity["scope"])]
            row = Row(
                run="somewhere", config="", title=title, clip=clip, gap=None, control=False, metric="made-up",
                quantity=str(quantity["name"]), variant=variant, scope=str(quantity["scope"]), index=None, time=None,
                value=None, missing="", failed=False, unit=str(quantity["unit"]), better=str(quantity["better"]),
                stratum="", part=None, counts=True, steps=8,
            )  # fmt: skip
            for code in codes:
                score = value(row.quantity, code, number)
                made.append(replace(row, config=code, value=score))
                if row.scope == "step":
                    fast = code.endswith("1")
                    native = replace(row, variant="native", steps=32 if fast else 8)
                    made.append(replace(native, config=code, value=score / 4 if fast else score))
                    made.append(replace(native, config=f"repeat {code}", control=True, value=score / 4, steps=32))
            for control, factor in (("crossfade", 3.0), ("freeze", 4.0)):
                worse = 0.01 if row.quantity == "flicker-mae" else factor if row.better == "lower" else 0.1
                made.append(
                    replace(row, config=control, control=True, value=worse * value(row.quantity, "000", number))
                )
    return made


@pytest.fixture
def make_evaluation(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as an evaluation: ``make_evaluation(rows, inputs=..., name=..., **facts)``."""
    return partial(evaluation_in, tmp_path)


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Path]:
    """Write a whole study with clips: ``make_study([("title", "pair"), ...])``."""
    return partial(study_in, tmp_path)


@pytest.fixture(scope="session")
def write_study() -> Callable[..., Path]:
    """The same in a folder that is named: ``write_study(folder, pairs)``."""
    return study_in


def evaluation_in(
    base: Path, rows: Sequence[Row], *, inputs: Sequence[Mapping[str, Any]] = (), name: str = "scores", **facts: Any
) -> Path:
    profile = find_profile("two-panel")
    document = {
        "created": "2026-11-21T10:00:00+00:00",
        "command": ["/somewhere/bin/animegen", "evaluate", "runs"],
        "profile": profile.as_record(),
        "by": "config",
        "environment": {"animegen": "0.1.0", "numpy": "2.4"},
        "metrics": [
            {"name": "made-up", "metric": "animegen:made-up", "version": "0.1", "code": "c0de", "options": {},
             "weights": {"net.pth": "ab" * 32}, "quantities": list(QUANTITIES)}
        ],
        "interpolators": [],
        "inputs": list(inputs),
        "notes": ["a note"],
        "missing": [],
        "failures": [],
        **facts,
    }  # fmt: skip
    tables.write(tables.Evaluation((), tuple(rows), summarise(rows, profile), document), base / name)
    return base / name


def study_in(
    base: Path,
    pairs: Sequence[tuple[str, str]],
    *,
    clips: bool = True,
    rows: Sequence[Row] | None = None,
    **facts: Any,
) -> Path:
    folder = evaluation_in(base, rows_of(pairs) if rows is None else rows, name="study", **facts)
    chosen = []
    for number, (title, clip) in enumerate(pairs):
        ends = [drawing(number, side) for side in (0, 1)]
        files = [base / "panels" / f"{number}-{side}.png" for side in "ab"]
        for path, image in zip(files, ends, strict=True):
            path.parent.mkdir(exist_ok=True)
            write_image(path, image)
        chosen.append({"id": clip, "title": title, "first": str(files[0]), "last": str(files[1]), "sha256": {}})
        for code in CODES if clips else ():
            run_folder(folder, code, number, clip, ends)
    factors = [{"name": n, "varies": n, "levels": [{"name": level} for level in levels]} for n, levels in FACTORS]
    cells = {code: [FACTORS[i][1][int(digit)] for i, digit in enumerate(code)] for code in CODES}
    study = {
        "schema_version": 1,
        "choice": {"rule": {"name": "sha256-rank-1", "seed": 0}, "candidates": 9, "notes": [], "pairs": chosen},
        "design": {"factors": factors, "cells": cells},
        "settings": {},
        "references": {},
        "created": "2026-11-21T09:00:00+00:00",
        "sessions": [],
    }
    (folder / "study.json").write_text(json.dumps(study), "utf-8")
    return folder


def drawing(number: int, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A panel: a dark disc on white that has moved."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 255, np.uint8)
    image[(x - 16 - 28 * side) ** 2 + (y - 20 - 2 * number) ** 2 < 100] = (30, 60, 20 * number)
    return image


def run_folder(study: Path, code: str, number: int, clip: str, ends: Sequence[Any]) -> Path:
    """A run as `animegen run` leaves it, as far as a report reads it."""
    count, fps = (33, 32) if code.endswith("1") else (9, 8)
    folder = study / "clips" / code / pair_folder(number, clip)
    frames = list(crossfade(np.stack(ends), count))
    write_folder(folder / "frames", frames)
    write_video(folder / "clip.mp4", frames, Fraction(fps))
    record = {
        "schema_version": 1,
        "status": "done",
        "inputs": {"first": {}, "last": {}},
        "outputs": {"clip": ["clip.mp4"], "frames": "frames", "fps": str(fps), "count": count},
    }
    (folder / "run.json").write_text(json.dumps(record), "utf-8")
    return folder
