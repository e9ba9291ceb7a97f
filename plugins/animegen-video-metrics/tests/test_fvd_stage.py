"""FVD and KVD as a metric of sets: floors, bias, intervals, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen.errors import InputError, MissingError, UsageError
from animegen.measuring import Missing, Sample
from animegen_testing.context import FakeContext
from animegen_video_metrics.fvd_stage import FLOOR, Fvd, prepare
from animegen_video_metrics.plugin import I3D, RAFT, FvdOptions, animegen_metrics
from animegen_video_metrics.set_distances import frechet, frechet_interval, kernel_distance, split_half


@pytest.fixture
def made(weights: dict[str, Path]) -> Callable[..., Fvd]:
    return lambda **options: Fvd(FvdOptions(**options), FakeContext(weights))


def rows(count: int, shift: float = 0.0, seed: int = 1, width: int = 6) -> list[Any]:
    random = np.random.default_rng(seed)
    return [random.normal(shift, 1, (1, width)).astype(np.float32) for _ in range(count)]


def test_fvd_of_few_clips_is_refused_and_kvd_is_not(made: Callable[..., Fvd]) -> None:
    metric = made()
    found = metric.distance(rows(40), rows(FLOOR, seed=2))
    refused = found["fvd-i3d"]
    assert isinstance(refused, Missing) and "40 and 256 true" in refused.reason and "fvd.force" in refused.reason
    assert isinstance(found["kvd-i3d"], float) and isinstance(found["kvd-i3d-deviation"], float)
    assert isinstance(metric.context, FakeContext) and "2048 a side" in metric.context.warnings[0]


def test_forced_it_shows_how_far_off_it_is(made: Callable[..., Fvd]) -> None:
    found: Any = made(force=True, draws=20).distance(rows(40), rows(40, seed=2))
    assert found["fvd-i3d-low"] < found["fvd-i3d-high"]
    assert found["fvd-i3d-split-half"] > 0
    few = made(force=True).distance(rows(3), rows(40))
    assert isinstance(few["fvd-i3d"], Missing) and isinstance(few["kvd-i3d-deviation"], Missing)


def test_enough_clips(made: Callable[..., Fvd]) -> None:
    metric = made(draws=10)
    near: Any = metric.distance(rows(FLOOR), rows(FLOOR, seed=2))
    far: Any = metric.distance(rows(FLOOR, shift=1), rows(FLOOR, seed=2))
    assert near["fvd-i3d"] < near["fvd-i3d-split-half"] * 2 < far["fvd-i3d"]
    assert far["fvd-i3d"] == pytest.approx(6, rel=0.25)
    assert far["kvd-i3d"] > 10 * abs(near["kvd-i3d"])
    without = made(draws=0).distance(rows(FLOOR), rows(FLOOR))
    assert isinstance(without["fvd-i3d-low"], Missing) and without["fvd-i3d"] == pytest.approx(0, abs=1e-6)


def test_no_clip_at_all(made: Callable[..., Fvd]) -> None:
    assert all(isinstance(value, Missing) for value in made(force=True).distance([], rows(9)).values())


def test_the_divisor_is_told_apart(made: Callable[..., Fvd]) -> None:
    ours, true = rows(FLOOR, shift=1), rows(FLOOR, seed=2)
    one, other = (made(draws=0, covariance=name).distance(ours, true)["fvd-i3d"] for name in ("n-1", "n"))
    assert one != other and one == pytest.approx(other, rel=0.02)


def test_distances() -> None:
    ours, true = (np.concatenate(rows(300, seed=seed)) for seed in (1, 2))
    assert frechet(ours, ours) == pytest.approx(0, abs=1e-9)
    assert frechet(ours + 3, true) == pytest.approx(frechet(ours, true) + 9 * 6, rel=0.1)
    assert frechet(ours, true) == pytest.approx(frechet(true, ours))
    few = np.concatenate(rows(5, width=40)), np.concatenate(rows(5, seed=2, width=40))
    assert np.isfinite(frechet(*few))
    assert kernel_distance(ours, true) < kernel_distance(ours, true, unbiased=False)
    assert split_half(true) == split_half(true)
    low, high = frechet_interval(ours, true, draws=30)
    assert 0 < low < high


def test_features_are_one_row_whatever_the_length(made: Callable[..., Fvd], toy_image: Callable[..., Any]) -> None:
    frames = np.stack([toy_image(height=30, width=40, shift=0.02 * step) for step in range(9)])
    metric = made()
    found = metric.features(Sample(frames, tuple(np.linspace(0, 1, 9))))
    assert found.shape == (1, 400) and found.dtype == np.float32
    with pytest.raises(UsageError, match="at least 9 frames"):
        metric.features(Sample(frames[:8], tuple(np.linspace(0, 1, 8))))
    with pytest.raises(UsageError, match="uint8"):
        metric.features(Sample(frames / 255, tuple(np.linspace(0, 1, 9))))


def test_a_crop_sees_the_middle_and_a_square_sees_all() -> None:
    import torch

    frames = np.zeros((1, 32, 64, 3), np.uint8)
    frames[:, :, :8] = 255  # left of the middle square
    assert float(prepare(frames, "crop", torch.device("cpu")).max()) == -1
    assert float(prepare(frames, "square", torch.device("cpu")).max()) == pytest.approx(1)
    for how in ("crop", "square"):
        assert prepare(frames, how, torch.device("cpu")).shape == (1, 3, 1, 224, 224)
        assert prepare(frames.swapaxes(1, 2), how, torch.device("cpu")).shape == (1, 3, 1, 224, 224)


def test_without_the_file_there_is_no_score(weights: dict[str, Path]) -> None:
    with pytest.raises(MissingError) as caught:
        Fvd(FvdOptions(), FakeContext())
    assert I3D.file in str(caught.value) and "No score was computed" in str(caught.value)
    wrong = Fvd(FvdOptions(), FakeContext({I3D.file: weights[RAFT.file]}))
    with pytest.raises(InputError, match="does not fit I3D"):
        wrong.features(Sample(np.zeros((9, 20, 20, 3), np.uint8), tuple(np.linspace(0, 1, 9))))


def test_records_are_light_and_name_each_quantity_once() -> None:
    names = [quantity.name for spec in animegen_metrics() for quantity in spec.quantities]
    assert len(names) == len({*names})
    code = (
        "import sys, animegen_video_metrics.plugin; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
