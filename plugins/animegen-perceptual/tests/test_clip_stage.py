"""CLIP similarities as metrics, and the record of all metrics of this plugin."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import animegen_perceptual.plugin
from animegen.errors import InputError, MissingError, UsageError
from animegen.measuring import Missing, Sample
from animegen_perceptual import clip_stage
from animegen_perceptual.clip_stage import ClipSimilarity, ClipTrajectory, cosines
from animegen_perceptual.plugin import CLIP, ClipOptions, animegen_metrics
from animegen_perceptual.trajectory import NAMES, consistency, trajectory
from animegen_testing.context import FakeContext


@pytest.fixture(scope="module")
def similarity(clip_weights: dict[str, Path]) -> ClipSimilarity:
    return ClipSimilarity(ClipOptions(), FakeContext(clip_weights))


@pytest.fixture
def frames(toy_image: Callable[..., Any]) -> Any:
    return np.stack([toy_image(height=40, width=64, shift=shift) for shift in (0, 0.1, 0.2)])


@pytest.mark.slow
def test_contract(
    stage_contract: Callable[..., Any], lpips_weights: dict[str, Path], clip_weights: dict[str, Path]
) -> None:
    stage_contract(animegen_perceptual.plugin, weights={**lpips_weights, **clip_weights})


def test_cosines_of_frames(similarity: ClipSimilarity, frames: Any) -> None:
    sample = Sample(frames, (0, 0.5, 1), reference=frames[::-1].copy(), panels=frames[[0, 2]], prompt="a ring")
    scores: Any = similarity(sample)
    own = similarity.pictures(frames)
    assert scores["clip-image"] == pytest.approx(cosines(own, own[::-1]))
    assert scores["clip-image"][1] == pytest.approx(1)
    assert scores["clip-image-first"] == pytest.approx((own @ own[0]).tolist())
    assert [scores["clip-image-nearest"][at] for at in (0, 2)] == pytest.approx([1, 1])
    assert len(scores["clip-image-step"]) == 2
    assert all(-1 < value < 1 for value in scores["clip-text"])
    assert isinstance(scores["clip-text-others"], Missing)


def test_what_is_not_there_is_missing(similarity: ClipSimilarity, frames: Any) -> None:
    scores = similarity(Sample(frames[:1], (0,)))
    missing = {name for name, values in scores.items() if isinstance(values, Missing)}
    assert missing == {"clip-image", "clip-image-first", "clip-image-nearest", "clip-text", "clip-text-others"}
    assert scores["clip-image-step"] == []


def test_other_prompts_are_the_level_of_chance(
    similarity: ClipSimilarity, clip_weights: dict[str, Path], frames: Any, tmp_path: Path
) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("a ring\n\na dog\na house\n", encoding="utf-8")
    metric = ClipSimilarity(ClipOptions(others=str(path)), FakeContext(clip_weights))
    metric._network = similarity.network()
    scores: Any = metric(Sample(frames, (0, 0.5, 1), prompt="a ring"))
    apart = [metric(Sample(frames, (0, 0.5, 1), prompt=text))["clip-text"] for text in ("a dog", "a house")]
    assert scores["clip-text-others"] == pytest.approx(np.mean(apart, 0).tolist(), abs=1e-6)
    path.write_text("a ring\n", encoding="utf-8")
    with pytest.raises(InputError, match="no prompt other than"):
        metric(Sample(frames, (0, 0.5, 1), prompt="a ring"))


def test_a_prompt_that_is_cut_is_told(similarity: ClipSimilarity, frames: Any) -> None:
    context = similarity.context
    assert isinstance(context, FakeContext)
    similarity(Sample(frames, (0, 0.5, 1), prompt="ring " * 100))
    assert any("77 tokens" in warning for warning in context.warnings)


def test_a_picture_is_computed_once(similarity: ClipSimilarity, frames: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    similarity.pictures(frames)
    monkeypatch.setattr(similarity.network(), "pictures", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(similarity.pictures(frames[::-1]), similarity.pictures(frames)[::-1])
    monkeypatch.setattr(clip_stage, "KEPT", 1)
    similarity.pictures(frames)
    assert len(similarity._known) == 1


def test_squeezing_shows_all_of_a_frame(similarity: ClipSimilarity, clip_weights: dict[str, Path], frames: Any) -> None:
    metric = ClipSimilarity(ClipOptions(crop="square"), FakeContext(clip_weights))
    changed = frames.copy()
    changed[:, :, :8] = 0  # outside the middle square
    assert similarity.pictures(changed[:1]) == pytest.approx(similarity.pictures(frames[:1]), abs=1e-6)
    assert np.abs(metric.pictures(changed[:1]) - metric.pictures(frames[:1])).max() > 1e-3


def test_ways(clip_weights: dict[str, Path]) -> None:
    straight = np.linspace(0, 1, 5)[:, None] * np.array([[3.0, 4.0]])
    found = trajectory(straight)
    assert list(found) == list(NAMES)
    assert found["clip-path-over-chord"] == pytest.approx(1)
    assert found["clip-off-chord"] == pytest.approx(0, abs=1e-12)
    assert found["clip-turn-cosine"] == pytest.approx(1)
    assert found["clip-largest-step-share"] == pytest.approx(0.25)
    cut = np.array([[0.0], [0], [1], [1]])
    assert trajectory(cut)["clip-largest-step-share"] == 1
    assert isinstance(trajectory(cut)["clip-turn-cosine"], Missing)
    assert all(isinstance(value, Missing) for value in trajectory(np.ones((4, 2))).values())
    assert all(isinstance(value, Missing) for value in trajectory(cut[:2]).values())
    assert consistency(np.eye(3)) == 0
    assert consistency(np.ones((3, 1))) == 1
    assert isinstance(consistency(np.ones((1, 1))), Missing)


def test_the_way_of_a_clip(similarity: ClipSimilarity, clip_weights: dict[str, Path], frames: Any) -> None:
    metric = ClipTrajectory(ClipOptions(), FakeContext(clip_weights))
    metric._network = similarity.network()
    scores = metric(Sample(frames, (0, 0.5, 1)))
    assert scores == {
        **trajectory(similarity.pictures(frames)),
        "vbench-background-consistency": pytest.approx(consistency(similarity.pictures(frames))),
    }


@pytest.mark.parametrize("kind", [ClipSimilarity, ClipTrajectory])
def test_without_the_file_there_is_no_score(kind: type[Any]) -> None:
    with pytest.raises(MissingError) as caught:
        kind(ClipOptions(), FakeContext())
    assert CLIP.file in str(caught.value) and "No score was computed" in str(caught.value)


def test_another_number_format_is_refused(clip_weights: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="float16"):
        ClipSimilarity(ClipOptions(), FakeContext(clip_weights, dtype="float16"))


def test_records_are_light_and_each_backbone_is_asked_for_by_its_own_metric() -> None:
    specs = {spec.name: spec for spec in animegen_metrics()}
    names = [quantity.name for spec in specs.values() for quantity in spec.quantities]
    assert len(names) == len({*names})
    assert {name: [w.file for w in spec.weights_for(spec.options())] for name, spec in specs.items()} == {
        "lpips-alex": ["alexnet-owt-7be5be79.pth"],
        "lpips-vgg": ["vgg16-397923af.pth"],
        "lpips-squeeze": ["squeezenet1_1-b8a52dc0.pth"],
        "lpips-endpoints": ["alexnet-owt-7be5be79.pth"],
        "clip": [CLIP.file],
        "clip-trajectory": [CLIP.file],
    }
    assert all(weight.sha256 for spec in specs.values() for weight in spec.weights)
    code = "import sys, animegen_perceptual.plugin; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
