"""Warping error as a metric: known motion, what hides, what is missing, which clips it can be fooled by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from animegen.errors import InputError, MissingError, UsageError
from animegen.measuring import Missing, Sample
from animegen_testing.context import FakeContext
from animegen_video_metrics import plugin, warp_stage
from animegen_video_metrics.dis import Dis
from animegen_video_metrics.plugin import I3D, RAFT, DisOptions, RaftOptions
from animegen_video_metrics.raft import Raft
from animegen_video_metrics.warp_stage import WarpDis, WarpRaft
from animegen_video_metrics.warping import mean_where, occluded, resize_flow, sample_along, squared_error

HEIGHT, WIDTH = 96, 128


def scene(positions: list[float]) -> Any:
    """A textured, outlined disc at each of some places over a textured ground."""
    random = np.random.default_rng(3)
    ground = cv2.GaussianBlur(random.integers(60, 200, (HEIGHT, WIDTH, 3)).astype(np.uint8), (0, 0), 2)
    skin = cv2.GaussianBlur(random.integers(0, 256, (HEIGHT, 3 * WIDTH, 3)).astype(np.uint8), (0, 0), 2)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for at in positions:
        inside = np.hypot(x - 40 - at, y - 48) < 26
        frame = ground.copy()
        moved = np.roll(skin, round(at), 1)[:, :WIDTH]
        frame[inside] = moved[inside]
        rim = np.abs(np.hypot(x - 40 - at, y - 48) - 26) < 1.5
        frame[rim] = 0
        frames.append(frame)
    return np.stack(frames)


def sample_of(frames: Any, **more: Any) -> Sample:
    return Sample(frames, tuple(np.linspace(0, 1, len(frames)).tolist()), **more)


@pytest.fixture
def dis() -> WarpDis:
    return WarpDis(DisOptions(), FakeContext())


def test_motion_that_is_followed_costs_little(dis: WarpDis) -> None:
    frames = scene([0, 4, 8, 12])
    found: Any = dis(sample_of(frames, panels=frames[[0, -1]]))
    error, still = np.mean(found["warp-lai-dis"]), np.mean(found["warp-lai-dis-zero-flow"])
    assert error < still / 3
    assert all(0 < share < 60 for share in found["warp-lai-dis-occluded"])
    assert np.mean(found["warp-lai-dis-motion-ratio"]) == pytest.approx(1, abs=0.35)
    assert {len(values) for values in found.values() if isinstance(values, list)} == {3}


def test_what_stands_still_wins_and_its_motion_tells(dis: WarpDis) -> None:
    moving, frozen = scene([0, 4, 8, 12]), scene([0, 0, 0, 12])
    found: Any = dis(sample_of(frozen, panels=moving[[0, -1]]))
    assert found["warp-lai-dis"][:2] == pytest.approx([0, 0], abs=1e-9)
    assert found["warp-lai-dis-zero-flow"][:2] == [0, 0]
    assert found["warp-lai-dis-motion-ratio"][0] < 0.01


def test_the_true_clips_flow_cannot_be_bought_with_ghosts(dis: WarpDis) -> None:
    true = scene([0, 6, 12])
    ghost = true.copy()
    ghost[1] = (true[0] / 2 + true[2] / 2).astype(np.uint8)
    found: Any = dis(sample_of(ghost, reference=true))
    right: Any = dis(sample_of(true, reference=true))
    assert right["warp-lai-dis-true-flow"] == pytest.approx(right["warp-lai-dis"])
    assert np.mean(found["warp-lai-dis-true-flow"]) > 2 * np.mean(right["warp-lai-dis-true-flow"])
    assert isinstance(dis(sample_of(true))["warp-lai-dis-true-flow"][0], Missing)  # type: ignore[index]


def test_a_change_of_tone_is_no_motion(dis: WarpDis) -> None:
    frames = scene([0, 0])
    frames[1] = np.clip(frames[1].astype(int) + 12, 0, 255)
    found: Any = dis(sample_of(frames))
    assert found["warp-lai-dis"][0] > 1e-3 > 10 * found["warp-lai-dis-levelled"][0]


def test_lines_are_told_from_paper(dis: WarpDis) -> None:
    blank = np.full((2, 40, 40, 3), 255, np.uint8)
    found: Any = dis(sample_of(blank))
    assert found["warp-lai-dis"] == [0]
    assert found["warp-lai-dis-line"] == [Missing("no line is visible")]
    assert isinstance(found["warp-lai-dis-motion-ratio"][0], Missing)


def test_a_flow_that_does_not_lead_home_is_hidden() -> None:
    forward = np.zeros((6, 8, 2), np.float32)
    forward[..., 0] = 2
    assert not occluded(forward, -forward).any()
    assert occluded(forward, forward).all()
    edge = forward.copy()
    edge[:, 4:] = 0
    assert occluded(edge, -edge)[:, 3].all()
    assert mean_where(np.ones((2, 2), np.float32), np.zeros((2, 2), bool)) is None


def test_sampling_is_in_pixels_x_first_and_held_at_the_rim() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    flow = np.zeros((3, 4, 2), np.float32)
    flow[..., 0] = 1
    assert sample_along(values, flow)[0, :, 0].tolist() == [1, 2, 3, 3]
    flow[..., 1] = 0.5
    assert sample_along(values, flow)[0, 0, 0] == pytest.approx(3)
    picture = np.zeros((3, 4, 3), np.uint8)
    picture[:, 1] = 255
    moved = np.roll(picture, 1, 1)
    assert squared_error(picture, moved, np.full((3, 4, 2), (1, 0), np.float32)).max() < 1e-10


def test_resizing_a_flow_makes_its_vectors_longer_too() -> None:
    flow = np.full((4, 4, 2), (2, 3), np.float32)
    assert np.allclose(resize_flow(flow, 8, 12), (6, 6))


def test_raft_on_any_size(weights: dict[str, Path]) -> None:
    model = Raft(weights[RAFT.file], torch.device("cpu"), updates=1)
    with torch.inference_mode():
        for height, width in ((20, 33), (130, 141)):
            picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
            forward, backward = model(picture, picture)
            assert forward.shape == backward.shape == (height, width, 2)
            assert np.isfinite(forward).all() and np.array_equal(forward, backward)


def test_raft_is_torchvisions(weights: dict[str, Path]) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (2, 128, 136, 3), np.uint8)
    model = Raft(weights[RAFT.file], torch.device("cpu"), updates=2)
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 * 2 - 1
    with torch.inference_mode():
        forward, _ = model(*pictures)
        wanted = model._network(batch[:1], batch[1:], num_flow_updates=2)[-1][0].permute(1, 2, 0).numpy()
    assert np.abs(forward - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_a_file_that_is_not_the_published_one_is_told(weights: dict[str, Path]) -> None:
    context = FakeContext(weights)
    frames = scene([0, 4])[:, :64, :64]
    found: Any = WarpRaft(RaftOptions(updates=1), context)(sample_of(frames))
    assert len(found["warp-lai-raft"]) == 1
    assert any("not the published one" in warning for warning in context.warnings)


def test_without_the_file_there_is_no_score(weights: dict[str, Path]) -> None:
    with pytest.raises(MissingError) as caught:
        WarpRaft(RaftOptions(), FakeContext())
    assert RAFT.file in str(caught.value) and "No score was computed" in str(caught.value)
    wrong = WarpRaft(RaftOptions(), FakeContext({RAFT.file: weights[I3D.file]}))
    with pytest.raises(InputError, match="does not fit RAFT"):
        wrong(sample_of(scene([0, 4])))


def test_bad_samples_are_refused(dis: WarpDis) -> None:
    frames = scene([0, 4])
    for wrong in (
        sample_of(frames / 255),
        sample_of(frames, reference=frames[:1]),
        sample_of(frames, panels=frames[:, 1:]),
        sample_of(frames[:, :8, :8]),
    ):
        with pytest.raises(UsageError):
            dis(wrong)
    assert set(map(len, dis(sample_of(frames[:1])).values())) == {0}  # type: ignore[arg-type]


def test_blur_is_for_finding_only(dis: WarpDis) -> None:
    frames = scene([0, 4])
    blurred: Any = WarpDis(DisOptions(blur=1.0), FakeContext())(sample_of(frames))
    plain: Any = dis(sample_of(frames))
    assert blurred["warp-lai-dis-zero-flow"] == plain["warp-lai-dis-zero-flow"]
    assert blurred["warp-lai-dis"] != plain["warp-lai-dis"]


def test_closing_forgets(dis: WarpDis) -> None:
    frames = scene([0, 4])
    sample = sample_of(frames, panels=frames)
    before = dis(sample)
    dis.close()
    assert dis._model is None and dis(dataclasses.replace(sample)) == before


class DisForRaft:
    """Stands for RAFT where only the metric around it is tried: the network takes most of a minute there."""

    def __init__(self, *given: object) -> None:
        self._model = Dis()

    def __call__(self, one: Any, other: Any) -> Any:
        return self._model(one, other)


def test_contract(
    stage_contract: Callable[..., Any], weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warp_stage, "Raft", DisForRaft)
    stage_contract(plugin, weights=weights)
