"""``animegen panels``: from a page to clips."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen.imageio import write_image

Call = Callable[..., Any]


@pytest.fixture
def page(place: Path) -> Path:
    """Two tiers of two panels each, white gutters; each panel a slightly different shape on grey."""
    image = np.full((420, 300, 3), 255, np.uint8)
    for number, (x, y) in enumerate(((12, 12), (156, 12), (12, 216), (156, 216))):
        image[y : y + 190, x : x + 132] = 0
        image[y + 3 : y + 187, x + 3 : x + 129] = 200
        image[y + 60 + 5 * number : y + 130, x + 30 + 8 * number : x + 90] = 60
    write_image("page.png", image)
    return Path("page.png")


def test_a_page_becomes_panels_and_a_table_for_batch(animegen: Call, page: Path, quick: Any) -> None:
    result = animegen("panels", page, "--direction", "ltr")
    assert result.code == 0, result.err
    table = Path(result.out.strip())
    assert table == Path("panels/pairs.tsv")
    assert "4 panels" in result.err
    assert len(list(Path("panels/panels").rglob("*.png"))) == 4
    assert list(Path("panels/overlay").rglob("*.png"))
    assert f"animegen batch {table}" in result.err
    made = animegen("batch", table, *quick, "--limit", 1)
    assert made.code == 0, made.err
    again = json.loads(animegen("panels", page, "--direction", "ltr", "--json").out)
    assert (again["pages"], again["reused"], again["panels"]) == (1, 1, 4)


def test_a_page_that_cannot_be_read_is_told(animegen: Call, page: Path) -> None:
    pages = Path("pages")
    pages.mkdir()
    page.rename(pages / "1.png")
    (pages / "2.png").write_text("no picture")
    result = animegen("panels", pages)
    assert (result.code, len(result.errors)) == (6, 1)
    assert "1 of 2 pages" in result.errors[0]
    assert any(line.startswith("failed") and "2.png" in line for line in result.err.splitlines())
    alone = animegen("panels", pages / "2.png", "--out", "alone")
    assert (alone.code, len(alone.errors)) == (4, 1)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("none.png",), 4),
        ((), 2),
        (("page.png", "--pages", "x"), 2),
        (("page.png", "--pages", "7"), 4),
        (("page.png", "--direction", "up"), 2),
        (("page.png", "--overrides", "none.toml"), 4),
    ],
)
def test_wrong_usage(animegen: Call, page: Path, args: tuple[str, ...], code: int) -> None:
    result = animegen("panels", *args)
    assert (result.code, len(result.errors)) == (code, 1), result.err


@pytest.mark.data
def test_real_pages(animegen: Call, real_data: Path) -> None:
    result = animegen("panels", real_data / "pages", "--title", "PepperCarrot17", "--pages", "1-2", "--json")
    facts = json.loads(result.out)
    assert (facts["pages"], facts["failed"]) == (2, [])
    assert facts["panels"] >= 8
