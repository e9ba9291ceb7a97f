"""Which changes of a drawing count for more than others: the table that these formulas were chosen by.

Parameters are drawn, so that only what the formula does can be seen here, not what a trained network would.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from animegen.measuring import Sample
from animegen_testing.context import FakeContext
from animegen_vgg_style.gram3 import Gram3
from animegen_vgg_style.plugin import StyleOptions
from animegen_vgg_style.stage import StyleFrobenius, StyleVgg19

SIDE = 128


def drawing(tone: str = "dots") -> np.ndarray[Any, Any]:
    """Ink contours on paper with one toned half, (SIDE, SIDE, 3)."""
    page = np.full((SIDE, SIDE), 255, np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    if tone == "dots":
        page[(x % 4 < 2) & (y % 4 < 2) & (x + y > SIDE)] = 40
        cv2.circle(page, (48, 52), 30, 0, 3)
        cv2.line(page, (10, 120), (118, 90), 0, 2)
    else:
        page[(y % 5 < 1) & (x - y > 0)] = 60
        cv2.rectangle(page, (30, 70), (100, 110), 0, 3)
        cv2.ellipse(page, (80, 40), (34, 18), 30, 0, 360, 0, 2)
    return np.repeat(page[..., None], 3, axis=2)


def changed(what: str, page: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(5)
    if what == "shuffled":
        flat = page[..., 0].ravel()
        return np.repeat(random.permutation(flat).reshape(SIDE, SIDE, 1), 3, axis=2)
    if what == "flat grey":
        level = np.sqrt((page.astype(float) ** 2).mean())
        grain = random.integers(-1, 2, (SIDE, SIDE, 1))
        return np.repeat((np.full((SIDE, SIDE, 1), round(level)) + grain).astype(np.uint8), 3, axis=2)
    if what == "another drawing":
        return drawing("hatching")
    if what == "darker":
        return np.round(page * 0.9).astype(np.uint8)
    if what == "mirrored":
        return np.ascontiguousarray(page[:, ::-1])
    return cv2.GaussianBlur(page, (0, 0), 3)


@pytest.fixture(scope="module")
def distances(weights: dict[str, Path]) -> dict[str, dict[str, float]]:
    page = drawing()
    rows = {}
    style, frobenius = (kind(StyleOptions(), FakeContext(weights)) for kind in (StyleVgg19, StyleFrobenius))
    for what in ("shuffled", "flat grey", "another drawing", "blurred", "darker", "mirrored"):
        sample = Sample(changed(what, page)[None], (0.5,), panels=np.stack((page, page)))
        scores = {**style(sample), **Gram3()(sample), **frobenius(sample)}
        rows[what] = {name: values[0] for name, values in scores.items() if isinstance(values, list)}
    return rows


def test_centred_and_normalised_it_orders_drawings_sensibly(distances: dict[str, dict[str, float]]) -> None:
    style = {what: row["style-vgg19"] for what, row in distances.items()}
    assert style["shuffled"] > style["another drawing"] > style["mirrored"]
    assert style["another drawing"] > 1.5 * style["darker"]
    assert style["blurred"] > style["darker"]
    assert style["flat grey"] > style["another drawing"]


def test_not_centred_everything_is_alike(distances: dict[str, dict[str, float]]) -> None:
    for row in distances.values():
        assert row["style-vgg19-classic"] < row["style-vgg19"] / 2


def test_not_normalised_brightness_outweighs_another_drawing(distances: dict[str, dict[str, float]]) -> None:
    change = {what: row["style-vgg19-frobenius"] for what, row in distances.items()}
    assert change["darker"] > change["mirrored"]
    assert change["darker"] > change["another drawing"]


def test_three_channels_see_brightness_and_nothing_else(distances: dict[str, dict[str, float]]) -> None:
    bare = {what: row["style-gram3"] for what, row in distances.items()}
    assert bare["shuffled"] < 1e-20
    assert bare["mirrored"] < 1e-20
    assert bare["flat grey"] < 1e-5
    assert bare["darker"] > bare["another drawing"]


def test_brightness_and_contrast_are_told_apart(distances: dict[str, dict[str, float]]) -> None:
    assert distances["darker"]["style-brightness"] == pytest.approx(0.1 * drawing().mean() / 255, rel=0.05)
    assert distances["darker"]["style-contrast"] == pytest.approx(-np.log(0.9), rel=0.03)
    assert distances["shuffled"]["style-brightness"] < 0.01
