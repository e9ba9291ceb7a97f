"""Whatever evaluate, ablate, compare and report are given: one error, and what to type next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("animegen_eval")
Call = Callable[..., Any]

INPUTS = ("nothere", "empty", "other", "noise.bin", "list.json")


@pytest.fixture
def inputs(place: Path) -> Path:
    """An empty folder, a folder of something else, and files of wrong kinds."""
    (place / "empty").mkdir()
    (place / "other").mkdir()
    (place / "other" / "notes.txt").write_text("of work")
    (place / "noise.bin").write_bytes(bytes(range(255, 0, -1)) * 9)
    (place / "list.json").write_text("[1, 2]")
    return place


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "*"),
        ("evaluate", "*", "--interpolator", "flow"),
        ("evaluate", "*", "--profile", "atd12k", "--interpolator", "flow"),
        ("ablate", "*", "--on", "preprocessor=lab", "--no-scores"),
        ("compare", "*", "*"),
        ("compare", "*:flow", "*:crossfade"),
        ("compare", "flow", "crossfade", "--in", "*"),
        ("report", "*"),
    ],
    ids=" ".join,
)
def test_one_error_that_names_the_input_and_says_what_next(
    animegen: Call, inputs: Path, given: str, command: tuple[str, ...]
) -> None:
    before = sorted(inputs.rglob("*"))
    result = animegen(*(part.replace("*", given) for part in command))
    assert result.code in (2, 4), result.err
    assert (len(result.errors), result.out) == (1, "")
    assert given in result.errors[0]
    assert "hint: " in result.err
    assert "No such file" not in result.err
    assert sorted(inputs.rglob("*")) == before


def test_true_clips_that_are_none(animegen: Call, inputs: Path, quick: tuple[str, ...]) -> None:
    assert animegen("run", *quick, "--size", "64x48").code == 0
    for given in INPUTS:
        result = animegen("evaluate", "runs", "--truth", given)
        assert (result.code, len(result.errors)) == (4, 1), given
        assert given in result.errors[0]
        assert "hint: " in result.err


def test_systems_without_the_evaluation_that_has_them(animegen: Call, inputs: Path) -> None:
    result = animegen("compare", "flow", "crossfade")
    assert result.code == 4
    assert "animegen compare A B --in FOLDER" in result.err
