"""ATD-12K: numbers are those of the published evaluators, and every subset has the mean of its triplets."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen_eval.tables import Evaluation


def test_every_subset_has_the_mean_of_its_triplets(
    dataset: Path, evaluate: Callable[..., Evaluation], atd: Any
) -> None:
    evaluation = evaluate(dataset)
    of_clip = {
        row.clip: row.value
        for row in evaluation.clips
        if (row.quantity, row.config, row.variant, row.control) == ("psnr", "crossfade", "middle", False)
    }
    assert of_clip.keys() == atd.levels.keys()
    wanted = {
        "": list(atd.levels),
        "east": ["Japan_film_3", "Japan_other_4"],
        "west": ["Disney_aladdin_1", "Disney_pooh_2"],
        "easy": ["Disney_aladdin_1"],
        "medium": ["Japan_film_3", "Japan_other_4"],
        "hard": ["Disney_pooh_2"],
    }
    for subset, names in wanted.items():
        found = atd.figure(evaluation, "psnr", "crossfade", subset)
        assert found.n == len(names)
        assert found.mean == pytest.approx(np.mean([of_clip[name] for name in names]))
        assert found.headline and found.gap == 2
    assert evaluation.facts["subsets"] == {"east": 2, "west": 2, "easy": 1, "medium": 2, "hard": 1}
    assert {one.stratum for one in evaluation.summary.figures} == set(wanted)


def test_numbers_are_those_of_the_published_evaluators(
    dataset: Path, evaluate: Callable[..., Evaluation], atd: Any
) -> None:
    """A dissolve of two frames against the third, worked out here by the formulas of the papers."""
    evaluation = evaluate(dataset, interpolators=("crossfade",))
    first, truth, last = (picture.astype(float) for picture in atd.frames(0))
    drawn = np.rint((first + last) / 2)
    whole = (slice(None), slice(None))
    region = (slice(10, 49), slice(20, 70))
    for place, variant in ((whole, "middle"), (region, "region")):
        a, b = drawn[place] / 255, truth[place] / 255
        rows = {
            row.quantity: row.value
            for row in evaluation.clips
            if (row.config, row.clip, row.variant, row.control) == ("crossfade", "Disney_aladdin_1", variant, False)
        }
        assert rows["psnr"] == pytest.approx(10 * math.log10(1 / np.mean((a - b) ** 2)), abs=0.02)
        assert rows["ssim-atd12k"] == pytest.approx(ssim(a, b), abs=2e-4)
        if variant == "middle":
            error = np.sqrt(((drawn - truth) ** 2).sum(axis=2)).mean()
            assert rows["interpolation-error"] == pytest.approx(error, abs=0.05)
        else:
            assert set(rows) == {"psnr", "ssim-atd12k"}


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Uniform windows of 7 × 7 inside the picture, variances over N - 1, a range of 2 for values in 0 to 1."""
    windows = [np.lib.stride_tricks.sliding_window_view(one, (7, 7), axis=(0, 1)).reshape(-1, 49) for one in (a, b)]
    x, y = windows
    mx, my = x.mean(axis=1), y.mean(axis=1)
    covariance = ((x - mx[:, None]) * (y - my[:, None])).sum(axis=1) / 48
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    variances = x.var(axis=1, ddof=1) + y.var(axis=1, ddof=1)
    return float((((2 * mx * my + c1) * (2 * covariance + c2)) / ((mx**2 + my**2 + c1) * (variances + c2))).mean())


def test_held_drawings_count_and_frames_of_regions_are_in_no_table(
    dataset: Path, evaluate: Callable[..., Evaluation], atd: Any
) -> None:
    atd.triplet(dataset / "test_2k_540p" / "Japan_held_6", [atd.frames(0)[0]] * 3)
    evaluation = evaluate(dataset, interpolators=("crossfade",))
    found = atd.figure(evaluation, "psnr", "crossfade")
    assert (found.n, found.infinite) == (5, 1)
    assert atd.figure(evaluation, "psnr", "crossfade", variant="region").n == 4
    keys = [(row.config, row.control, row.clip, row.quantity, row.index) for row in evaluation.frames]
    assert len(keys) == len(set(keys))
