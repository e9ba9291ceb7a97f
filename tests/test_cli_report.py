"""``animegen report``, from real runs to a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_runs_become_an_evaluation_and_a_page(
    animegen: Callable[..., Any], quick: tuple[str, ...], place: Path
) -> None:
    assert animegen("run", *quick, "--size", "64x48", "--out", "runs").code == 0
    assert animegen("evaluate", "runs", "--metric", "blend-residual", "--out", "scores", "-q").code == 0
    result = animegen("report", "scores", "--title", "A <b> page", "--json")
    assert result.code == 0
    told = json.loads(result.out)
    page = Path(told["page"])
    assert (page, told["pairs"], told["not_shown"]) == (Path("scores/report/index.html"), 1, [])
    assert told["clips"] == 1 + 4  # the run, and the controls of its panels
    text = (place / page).read_text("utf-8")
    assert "<title>A &lt;b&gt; page</title>" in text
    assert "This page was made by" in text
    assert len(list((place / page.parent / "clips").iterdir())) == told["clips"]


def test_what_cannot_be_shown_is_one_line(animegen: Callable[..., Any], place: Path) -> None:
    result = animegen("report", "nowhere")
    assert (result.code, len(result.errors)) == (4, 1)
    assert "nowhere does not exist" in result.err
    (place / "thesis").mkdir()
    (place / "thesis" / "years.tex").write_text("of work")
    assert animegen("report", "thesis").code == 4
    assert (place / "thesis" / "years.tex").is_file()
