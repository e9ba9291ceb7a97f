"""Inputs that do not go together are refused before anything is measured, with a list of what is wrong."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from animegen.errors import AnimeGenError, InputError, UsageError
from animegen.video import write_video
from animegen_eval.evaluation import Evaluator, Request


def refused(registry, *paths: Path, error: type[AnimeGenError] = InputError, **request) -> str:
    with pytest.raises(error) as caught:
        Evaluator(Request(tuple(paths), **request), registry)
    return " ".join((caught.value.message, *caught.value.hints))


def test_sizes_of_one_clip_differ(kit, save, registry, tmp_path):
    save(kit.disc(5), "one/a")
    save(kit.disc(5, width=80), "other/a")
    text = refused(registry, tmp_path / "one", tmp_path / "other", metrics=("cpbd",))
    assert "one 64x48" in text
    assert "other 80x48" in text


def test_a_folder_holds_frames_of_two_sizes(kit, save, registry, tmp_path):
    save(kit.disc(3), "a")
    save(kit.disc(4, width=80)[3:], "b")
    (tmp_path / "b" / "000000.png").rename(tmp_path / "a" / "000003.png")
    save(kit.disc(4), "good/b")
    with Evaluator(Request((tmp_path / "a", tmp_path / "good"), metrics=("step-mae",)), registry) as evaluator:
        found = evaluator.run()
    assert {one["clip"] for one in found.facts["failures"]} == {"a"}
    assert all("80x48" in one["reason"] for one in found.facts["failures"])
    assert any(row.clip == "b" and row.value is not None for row in found.clips)


def test_counts_that_share_no_times(kit, save, registry, tmp_path):
    save(kit.disc(8), "one/a")
    save(kit.disc(12), "other/a")
    assert "one 8, other 12" in refused(registry, tmp_path / "one", tmp_path / "other", metrics=("cpbd",))


def test_counts_that_share_some_times_are_sampled(kit, save, registry, tmp_path):
    save(kit.disc(7), "one/a")
    save(kit.disc(10), "other/a")
    request = Request((tmp_path / "one", tmp_path / "other"), metrics=("step-mae",))
    with Evaluator(request, registry) as evaluator:
        steps = {row.steps for row in evaluator.run().frames}
    assert steps == {3}


@pytest.mark.parametrize("count", [1, 2])
def test_clips_without_a_frame_between(kit, save, registry, tmp_path, count):
    save(kit.disc(count), "a")
    assert f"has {count} frame" in refused(registry, tmp_path / "a", metrics=("cpbd",))


def test_frame_rates_of_one_clip_do_not_fit_their_counts(kit, registry, tmp_path):
    for name, fps in (("one", 8), ("other", 12)):
        write_video(tmp_path / name / "a.mkv", kit.disc(9), Fraction(fps))
    assert "lasts differently long" in refused(registry, tmp_path / "one", tmp_path / "other", metrics=("cpbd",))


def test_frame_rates_of_several_clips_differ(kit, registry, tmp_path):
    for name, fps in (("a", 8), ("b", 12)):
        write_video(tmp_path / f"{name}.mkv", kit.disc(9), Fraction(fps))
    text = refused(registry, tmp_path, metrics=("cpbd",))
    assert "8 fps: a" in text
    assert "12 fps: b" in text


@pytest.mark.parametrize("matching", [0, 1])
def test_no_true_clip_or_not_all(kit, save, registry, tmp_path, matching):
    for name in "abc":
        save(kit.disc(5), f"system/{name}")
        save(kit.disc(5), f"truth/{name if matching and name == 'a' else name * 2}")
    text = refused(registry, tmp_path / "system", truth=tmp_path / "truth", metrics=("psnr",))
    assert f"{3 - matching} of 3 clips have no true one" in text
    assert ("b, c" if matching else "a, b, c") in text


def test_a_manifest_pairs_names(kit, save, registry, tmp_path):
    save(kit.disc(5), "system/a")
    save(kit.disc(5), "truth/other")
    (tmp_path / "truth" / "manifest.tsv").write_text("clip\ttruth\na\tother\n")
    request = Request((tmp_path / "system",), truth=tmp_path / "truth", metrics=("psnr",))
    with Evaluator(request, registry) as evaluator:
        found = [row for row in evaluator.run().clips if row.config == "system" and row.variant == "middles"]
    assert [row.value for row in found] == [np.inf]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"profile": "held-out-middel"}, "held-out-middle"),
        ({"profile": "held-out-middle"}, "none is named"),
        ({"profile": "two-panel", "interpolators": ("flow",)}, "has no effect"),
        ({"interpolators": ("flow",), "truth": Path()}, "has no effect"),
        ({"metrics": ("psnrr",)}, "psnr"),
        ({"metrics": ("colour-distance",)}, "clip-set"),
        ({"gaps": (1,), "interpolators": ("flow",)}, "least is 2"),
        ({"gaps": (4,)}, "no gaps"),
    ],
)
def test_requests_that_contradict_themselves(kit, save, registry, tmp_path, request_, words):
    save(kit.disc(5), "a")
    assert words in refused(registry, tmp_path / "a", error=UsageError, **request_)


def test_truth_is_needed_and_not_there(kit, save, registry, tmp_path):
    save(kit.disc(5), "a")
    assert "--truth" in refused(registry, tmp_path / "a", metrics=("psnr",))


def test_paths_that_hold_nothing(save, registry, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no clip")
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 100)
    assert "holds no clip" in refused(registry, tmp_path / "empty")
    assert "is no clip" in refused(registry, tmp_path / "text.txt")
    assert "broken.mp4" in refused(registry, tmp_path / "broken.mp4")
    assert "does not exist" in refused(registry, tmp_path / "absent")


def test_one_clip_twice(kit, save, registry, tmp_path):
    save(kit.disc(5), "system/a")
    assert "several times" in refused(registry, tmp_path / "system", tmp_path / "system" / "a", metrics=("cpbd",))


def test_real_clips_that_are_too_short_or_one_held_drawing(kit, save, registry, tmp_path):
    save(kit.disc(2), "short")
    save(np.repeat(kit.disc(1), 9, axis=0), "held")
    for name in ("short", "held"):
        text = refused(registry, tmp_path / name, interpolators=("crossfade",), metrics=("psnr",))
        assert "3 frames" in text
