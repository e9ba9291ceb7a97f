"""A miniature of ATD-12K."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from animegen.imageio import write_image
from animegen.registry import Registry
from animegen_eval.evaluation import Evaluator, Request
from animegen_eval.samples import atd12k
from animegen_eval.summary import Figure
from animegen_eval.tables import Evaluation

SMALL = (96, 54)
"""In place of 960 × 540, for speed; the rule that brings pictures to that size is tested by itself."""
LEVELS = {"Disney_aladdin_1": 0, "Disney_pooh_2": 2, "Japan_film_3": 1, "Japan_other_4": 1}


def frames(index: int, size: tuple[int, int] = SMALL) -> list[np.ndarray]:
    """A disc with an outline that goes to the right; the further, the higher the index. (54, 96, 3) uint8."""
    y, x = np.mgrid[: size[1], : size[0]]
    found = []
    for step in range(3):
        distance = np.hypot(x - 30 - 3 * (index + 1) * step, y - size[1] / 2)
        picture = np.where(distance[..., None] < 12, (60, 50 + 30 * index, 90), (220, 225, 235))
        picture[np.abs(distance - 12) < 1.5] = 20
        found.append(picture.astype(np.uint8))
    return found


def triplet(folder: Path, pictures: list[np.ndarray], suffix: str = ".png") -> None:
    for index, picture in enumerate(pictures, start=1):
        write_image(folder / f"frame{index}{suffix}", picture)


def annotate(root: Path, name: str, content: Any) -> Path:
    path = root / "test_2k_annotations" / name / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def figure(evaluation: Evaluation, quantity: str, config: str, subset: str = "", variant: str = "middle") -> Figure:
    (found,) = [
        one
        for one in evaluation.summary.figures
        if (one.quantity, one.config, one.stratum, one.variant, one.control)
        == (quantity, config, subset, variant, False)
    ]
    return found


@pytest.fixture(scope="session")
def atd() -> Any:
    """``atd.frames`` draws a triplet, ``atd.triplet`` and ``atd.annotate`` write one, ``atd.figure`` finds a number."""
    return SimpleNamespace(small=SMALL, levels=LEVELS, frames=frames, triplet=triplet, annotate=annotate, figure=figure)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two triplets of each origin, annotated, at 96 × 54."""
    monkeypatch.setattr(atd12k, "SIZE", SMALL)
    for index, (name, level) in enumerate(LEVELS.items()):
        triplet(tmp_path / "ATD" / "test_2k_540p" / name, frames(index))
        region = {"x": 401, "y": 201, "width": 1001, "height": 799}
        annotate(tmp_path / "ATD", name, {"image_size": [1920, 1080], "motion_RoI": region, "level": level})
    return tmp_path / "ATD"


@pytest.fixture
def evaluate(registry: Registry, tmp_path: Path) -> Callable[..., Evaluation]:
    def run(*paths: Path, interpolators: tuple[str, ...] = ("flow", "crossfade"), **more: Any) -> Evaluation:
        request = Request(tuple(paths), "atd12k", interpolators=interpolators, device="cpu", **more)
        with Evaluator(request, registry, out=tmp_path / "out") as evaluator:
            return evaluator.run()

    return run
