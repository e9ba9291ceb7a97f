"""LPIPS as a metric: ranges, sizes, grey, batches, what is missing, and that nothing is ever downloaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lpips
import numpy as np
import pytest
import torch

from animegen.errors import InputError, MissingError, UsageError
from animegen.measuring import Missing, Sample
from animegen_perceptual.lpips_stage import LpipsAlex, LpipsEndpoints, LpipsSqueeze, LpipsVgg
from animegen_perceptual.plugin import ALEX, BACKBONES, LpipsOptions
from animegen_testing.context import FakeContext

KINDS = (LpipsAlex, LpipsVgg, LpipsSqueeze)


@pytest.fixture
def sample(toy_image: Callable[..., Any]) -> Sample:
    frames, true = (
        np.stack([toy_image(height=40, width=50, shift=speed * step) for step in range(4)]) for speed in (0.05, 0.08)
    )
    return Sample(frames, (0, 0.3, 0.7, 1), reference=true, panels=true[[0, -1]])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_the_package_gives(kind: type[Any], made: Callable[..., Any], sample: Sample) -> None:
    assert sample.reference is not None
    metric = made(kind)
    scores = metric(sample)
    package = metric._network._network
    pairs = [(a, b) for a, b in zip(sample.frames, sample.reference, strict=True)]
    for values, these in (
        (scores[metric.metric], pairs),
        (scores[f"{metric.metric}-step"], list(zip(sample.frames, sample.frames[1:], strict=False))),
    ):
        tensors = [[lpips.im2tensor(picture) for picture in pair] for pair in these]
        with torch.inference_mode():
            wanted = [float(package(*pair)) for pair in tensors]
        assert values == pytest.approx(wanted, rel=1e-4, abs=1e-9)
    assert values[0] > 0


def test_values_left_in_0_to_1_are_smaller_and_have_a_name_of_their_own(
    made: Callable[..., Any], sample: Sample
) -> None:
    scores = made(LpipsAlex)(sample)
    right, mistaken = scores["lpips-alex"][-1], scores["lpips-alex-unit-range"][-1]
    assert 0 < mistaken < right / 2


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_batches_change_nothing(batch: int, made: Callable[..., Any], sample: Sample) -> None:
    alone, together = made(LpipsSqueeze, batch=1)(sample), made(LpipsSqueeze, batch=batch)(sample)
    for name, values in alone.items():
        assert together[name] == pytest.approx(values, rel=1e-4, abs=1e-9)


def test_equal_frames_are_at_0(made: Callable[..., Any], sample: Sample) -> None:
    still = np.stack([sample.frames[0]] * 3)
    scores = made(LpipsAlex)(Sample(still, (0, 0.5, 1), reference=still.copy(), panels=still[:2]))
    assert scores == {"lpips-alex": [0] * 3, "lpips-alex-unit-range": [0] * 3, "lpips-alex-step": [0] * 2}


def test_without_true_frames_only_steps_are_there(made: Callable[..., Any], sample: Sample) -> None:
    scores = made(LpipsAlex)(Sample(sample.frames, sample.times))
    assert isinstance(scores["lpips-alex"], Missing) and isinstance(scores["lpips-alex-unit-range"], Missing)
    assert len(scores["lpips-alex-step"]) == 3
    assert made(LpipsAlex)(Sample(sample.frames[:1], (0,)))["lpips-alex-step"] == []


def test_the_worse_end_counts_and_balloons_do_not(made: Callable[..., Any], sample: Sample) -> None:
    assert sample.panels is not None
    ends = made(LpipsEndpoints)
    worse = ends(sample)["endpoint-lpips-alex"]
    at_both = [
        made(LpipsAlex)(Sample(sample.frames[[at]], (0,), reference=sample.panels[[at]]))["lpips-alex"][0]
        for at in (0, -1)
    ]
    assert worse == pytest.approx(max(at_both), rel=1e-4)
    assert at_both[0] == 0 < at_both[1]
    everything = dataclasses.replace(sample, ignored=np.ones((2, 40, 50), bool))
    assert ends(everything)["endpoint-lpips-alex"] == 0
    assert isinstance(ends(Sample(sample.frames, sample.times))["endpoint-lpips-alex"], Missing)


@pytest.mark.parametrize(("kind", "least"), [(LpipsAlex, 31), (LpipsVgg, 16), (LpipsSqueeze, 17)])
def test_the_smallest_pictures(
    kind: type[Any], least: int, made: Callable[..., Any], toy_image: Callable[..., Any]
) -> None:
    frames = np.stack([toy_image(height=least, width=least, shift=shift) for shift in (0, 0.2)])
    assert made(kind)(Sample(frames, (0, 1)))[f"{made(kind).metric}-step"][0] > 0
    with pytest.raises(UsageError, match=f"at least {least} px"):
        made(kind)(Sample(frames[:, 1:], (0, 1)))


def test_floats_are_refused_whatever_their_range(made: Callable[..., Any], sample: Sample) -> None:
    for wrong in (sample.frames / 255, sample.frames.astype(np.float32) / 127.5 - 1, sample.frames[..., 0]):
        with pytest.raises(UsageError, match="uint8 RGB"):
            made(LpipsAlex)(Sample(wrong, sample.times))


@pytest.mark.parametrize("kind", [*KINDS, LpipsEndpoints])
def test_without_the_file_there_is_no_score(kind: type[Any]) -> None:
    with pytest.raises(MissingError) as caught:
        kind(LpipsOptions(), FakeContext())
    weight = BACKBONES[kind.net]
    told = str(caught.value)
    assert weight.file in told and str(weight.sha256) in told and "No score was computed" in told
    assert any("animegen weights fetch" in hint for hint in caught.value.hints)


def test_nothing_is_downloaded_and_nothing_is_random(
    made: Callable[..., Any], sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError(f"something was fetched: {args}")

    for name in ("load_state_dict_from_url", "download_url_to_file"):
        monkeypatch.setattr(torch.hub, name, refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    torch.manual_seed(1)
    first = made(LpipsAlex)(sample)
    torch.manual_seed(2)
    assert made(LpipsAlex)(sample) == first


def test_another_backbone_in_the_file_is_refused(lpips_weights: dict[str, Path], sample: Sample) -> None:
    wrong = LpipsAlex(LpipsOptions(), FakeContext({ALEX.file: lpips_weights[BACKBONES["vgg"].file]}))
    with pytest.raises(InputError, match="does not fit"):
        wrong(sample)
