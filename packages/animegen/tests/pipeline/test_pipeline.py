"""The pipeline on toy stages: order, balloons, sizes, events, and the same call in Python."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import animegen
from animegen import Box, Panel, PanelPair
from animegen.errors import InputError, UsageError
from animegen.pipeline.progress import Reporter


def test_stages_run_in_order_and_close(pipeline, pair, said):
    with pipeline(preprocessor=["add"], upsampler="mix", factor=2) as made:
        clip = made.run(pair())
    assert clip.array().shape == (9, 16, 20, 3)
    assert clip.fps == Fraction(20)
    # the balloon is filled (200), both panels are 1 brighter, and the middle is halfway
    np.testing.assert_array_equal(clip.array()[0, 3, 4], [201] * 3)
    np.testing.assert_array_equal(clip.array()[0, 0, 0], [11] * 3)
    np.testing.assert_array_equal(clip.array()[4, 0, 0], [61] * 3)
    np.testing.assert_array_equal(clip.array()[8, 0, 0], [111] * 3)
    assert clip.warnings == ("mixed, not drawn",)
    opened = [call for call in said if call.startswith("open")]
    assert opened == ["open Balloons", "open Fill", "open Add", "open Mix", "open Mix"]
    assert sum(call.startswith("close") for call in said) == 5


def test_prompt_and_seed_reach_the_stages_that_use_them(tmp_path, pipeline, pair, said):
    run = {"interpolator": "fixed", "frames": None, "prompt": "a cat", "seed": 9}
    with pipeline(tmp_path, **run) as made:
        clip = made.run(pair())
        assert clip.array()[0, 0, 0, 0] == 9
        made.run(pair(prompt="a dog"))
    assert [call for call in said if call.startswith("fixed")] == ["fixed 4 a cat 9", "fixed 4 a dog 9"]


def test_panels_of_different_size_are_fitted_and_restored(pipeline, pair):
    for mode in ("fit", "crop"):
        clip = pipeline(size=mode).run(pair((31, 53), (80, 40)))
        assert clip.array().shape == (5, 31, 53, 3)
    assert pipeline(size="24x18").run(pair()).array().shape == (5, 18, 24, 3)


def test_sizes_are_padded_for_a_stage_and_cropped_again(pipeline, pair):
    plain = pipeline(upsampler="mix", factor=2).run(pair((13, 21)))
    for roles in ({"interpolator": "eights"}, {"upsampler": "eights"}):
        padded = pipeline(**{"upsampler": "mix", "factor": 2, **roles}).run(pair((13, 21)))
        np.testing.assert_array_equal(padded.array(), plain.array())


def test_balloons_can_be_kept_by_number(pipeline, pair):
    clip = pipeline(keep_balloon=[1]).run(pair())
    assert clip.array()[0, 3, 4, 0] == 90
    with pytest.raises(UsageError, match="names balloon 2; 1 were found"):
        pipeline(keep_balloon=[2]).run(pair())


def test_the_user_s_mask_joins_and_grow_widens(pipeline, pair):
    mask = np.zeros((16, 20), bool)
    mask[12:, 15:] = True
    clip = animegen.run(
        pair().first, pair().last, interpolator="crossfade", first_mask=mask, frames=3, inpainter="telea"
    )
    assert len(clip) == 3
    made = pipeline(grow=2)
    job = made.job(pair())
    job.detect()
    assert job.masks[0].sum() == 6 + 10 * 6 + 6  # the box of 6 × 4, two pixels wider all around but for its corners


def test_a_panel_annotated_as_without_lettering_is_not_searched(monkeypatch, pipeline, pair, toys):
    searched = []

    def remember(self, image, text_boxes=()):
        searched.append(tuple(text_boxes))
        return []

    monkeypatch.setattr(toys.Balloons, "__call__", remember)
    two = pair()  # the first has a text box, the last is annotated as having none
    pipeline().run(two)
    assert searched == [(Box(3, 2, 9, 6),)]
    searched.clear()
    pipeline().run(PanelPair(Panel(two.first.image), Panel(two.last.image)))
    assert searched == [(), ()]  # nobody has annotated these: both are searched


def test_python_call_takes_paths_arrays_and_panels(tmp_path):
    image = np.full((24, 32), 200, np.uint8)
    clip = animegen.run(image, np.zeros((24, 32, 3), np.uint8), interpolator="crossfade", frames=3, inpainter="none")
    np.testing.assert_array_equal(clip.array()[:, 0, 0, 0], [200, 100, 0])
    with pytest.raises(InputError, match=r"FIRST is \(24, 32\) float64"):
        animegen.run(image / 255, image)
    with pytest.raises(InputError, match=r"the mask of LAST is"):
        animegen.run(image, image, last_mask=np.zeros((3, 3), bool))
    with pytest.raises(UsageError, match=r"unknown option run\.sead"):
        animegen.run(image, image, sead=4)


def test_plan_and_events(pipeline, pair):
    events = []

    class Listener(Reporter):
        def started(self, number, total, name, detail):
            events.append((number, total, name))

        def finished(self, name, summary, seconds, cached):
            events.append((name, summary, cached))

    made = pipeline()
    made.reporter = made._session.reporter = Listener()
    lines = dict(made.plan(pair()))
    assert lines["plan"].startswith("toy-balloons > fill > mix   5 frames at 10 fps, 0.50 s   cpu")
    assert "MiB" in lines["need"]
    made.run(pair())
    assert events == [
        (1, 4, "detect"),
        ("detect", "2 panels, 1 balloon", False),
        (2, 4, "inpaint"),
        ("inpaint", "1 of 2 panels", False),
        (3, 4, "interpolate"),
        ("interpolate", "5 frames", False),
        (4, 4, "write"),
        ("write", "5 frames", False),
    ]


def test_a_failed_pair_does_not_stop_the_others(tmp_path, pipeline, pair):
    results = []
    with pipeline(tmp_path, keep_balloon=[1]) as made:
        without = PanelPair(pair().last, pair().last, id="none")
        made.run_all([pair(id="ok"), without], lambda one, result: results.append((one.id, type(result).__name__)))
    assert results == [("ok", "Clip"), ("none", "UsageError")]
