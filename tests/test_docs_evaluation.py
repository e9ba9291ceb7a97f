"""docs/evaluation.md is true: its commands run, and what it says of numbers holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.imageio import write_image

pytest.importorskip("animegen_eval")
Call = Callable[..., Any]
TEXT = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text("utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^    (animegen .*)$", TEXT, flags=re.MULTILINE)]
QUICK = ("--metric", "psnr", "--gap", "2", "--parts", "1")


def draw(folder: Path, picture: Call, counts: dict[str, int], step: int = 3) -> None:
    for name, count in counts.items():
        for index in range(count):
            write_image(folder / name / f"{index:03d}.png", picture(96, 72, step * index + index * index // 4))


@pytest.mark.slow
def test_every_command_runs(animegen: Call, place: Path, picture: Call, pair: tuple[Path, Path]) -> None:
    draw(place / "clips", picture, {"one": 5, "two": 7})
    draw(place / "true", picture, {"a-b": 5})
    for name in ("Japan_1", "Disney_2"):
        for index in range(3):
            write_image(place / f"ATD-12K/test_2k_540p/{name}/frame{index + 1}.png", picture(96, 72, 3 * index))
    options = ("--detector", "none", "--preprocessor", "none", "--interpolator", "flow", "--frames", "5")
    assert animegen("run", *pair, *options).code == 0
    ran = []
    for _, *args in COMMANDS:
        if "clip-set" in args:  # no such metric is installed here; its own test has one
            continue
        quick = QUICK if "clips/" in args else ("--metric", "endpoints") if args[1:] == ["runs/"] else ()
        result = animegen(*args, *quick)
        assert result.code == 0, (args, result.err)
        ran.append(args[0])
    assert ran.count("evaluate") == 4
    assert ran.count("compare") == 1


def test_every_option_that_it_names_is_there(animegen: Call) -> None:
    known = animegen("evaluate", "--help").out + animegen("compare", "--help").out
    named = set(re.findall(r"--[a-z][a-z-]+", TEXT))
    assert len(named) > 10
    assert {option for option in named if option not in known} == set()


def test_every_number_that_it_names_is_there(animegen: Call) -> None:
    known = animegen("evaluate", "--list").out
    named = set(re.findall(r"^\| `([a-z-]+)` \|", TEXT, flags=re.MULTILINE))
    assert len(named) == 5
    assert {name for name in named if name not in known} == set()
