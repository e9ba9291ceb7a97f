"""More frames must not look like better frames: SPEC's frame-rate experiment on tiny clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animegen_eval.evaluation import Evaluator, Request


def table(figures, variant):
    return {
        figure.config: figure.mean
        for figure in figures
        if figure.quantity == "step-mae" and figure.variant == variant and not figure.stratum
    }


@pytest.fixture
def evaluated(kit, save, registry, tmp_path: Path):
    few = kit.disc(16)
    save(few, "few/clip")
    save(np.repeat(few, 4, axis=0)[: 15 * 4 + 1], "repeated/clip")
    save(kit.disc(61), "perfect/clip")
    request = Request((tmp_path / "few", tmp_path / "repeated", tmp_path / "perfect"), metrics=("step-mae",))
    with Evaluator(request, registry, out=tmp_path / "out") as evaluator:
        return evaluator.run()


def test_repeating_frames_changes_nothing_at_equal_times(evaluated):
    steps = table(evaluated.summary.figures, "steps")
    assert steps["repeated"] == pytest.approx(steps["few"], rel=1e-12)
    assert steps["perfect"] == pytest.approx(steps["few"], rel=0.01)


def test_at_its_own_frame_rate_repeating_each_frame_four_times_cuts_a_step_by_three_quarters(evaluated):
    native = table(evaluated.summary.figures, "native")
    assert native["repeated"] / native["few"] - 1 == pytest.approx(-0.75, abs=0.01)
    assert native["repeat few"] == pytest.approx(native["few"] / 4, rel=1e-9)
    assert native["perfect"] < 0.6 * native["few"]


def test_what_is_measured_at_its_own_frame_rate_never_ranks(evaluated):
    native = [one for one in evaluated.summary.figures if one.variant == "native"]
    assert native and all(one.rank is None for one in native)
    assert any("repeat few" in one.beaten_by for one in native)


def test_a_dissolve_wins_what_is_measured_from_step_to_step_and_so_it_does_not_rank(evaluated):
    steps = [one for one in evaluated.summary.figures if one.variant == "steps"]
    assert all("cut" in one.beaten_by for one in steps)
    assert all(one.rank is None for one in steps)


def test_only_the_frames_that_all_have_are_scored(evaluated):
    rows = [row for row in evaluated.frames if row.quantity == "step-mae"]
    assert {row.steps for row in rows} == {15}
    assert {row.index for row in rows} == set(range(15))
