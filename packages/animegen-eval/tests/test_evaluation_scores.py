"""From a metric's answer to a row: what breaks is a row with its reason, what is equal is 0 or infinite."""

from __future__ import annotations

import json
import math
import threading

import numpy as np
import pytest

from animegen.pipeline.progress import Reporter
from animegen_eval.evaluation import Evaluator, Request
from animegen_eval.tables import read_rows, read_summary


class Told(Reporter):
    def __init__(self):
        self.warnings = []

    def warned(self, message):
        self.warnings.append(message)


def evaluate(registry, *paths, out=None, reporter=None, weights=None, window=2**28, cache=None, **request):
    with Evaluator(
        Request(tuple(paths), **request), registry, out=out, reporter=reporter, window=window, cache=cache
    ) as evaluator:
        return evaluator.run()


def rows_of(evaluation, config, quantity, variant="middles"):
    return [r for r in evaluation.clips if (r.config, r.quantity, r.variant) == (config, quantity, variant)]


def marked(frames, kind):
    frames = frames.copy()
    frames[:, 0, 0] = kind
    return frames


def test_equal_clips_are_infinite_or_zero_and_never_nan(kit, save, registry, tmp_path):
    save(kit.disc(7), "system/a")
    save(kit.disc(7), "truth/a")
    names = ("psnr", "ssim", "line-chamfer", "transition", "endpoints")
    found = evaluate(registry, tmp_path / "system", truth=tmp_path / "truth", metrics=names, out=tmp_path / "out")
    (psnr,), (chamfer,) = (rows_of(found, "system", name) for name in ("psnr", "line-chamfer"))
    assert psnr.value == math.inf
    assert chamfer.value == 0
    assert not any(row.value is not None and math.isnan(row.value) for row in (*found.clips, *found.frames))
    figure = next(f for f in found.summary.figures if f.quantity == "psnr" and f.config == "system" and f.headline)
    assert (figure.mean, figure.infinite, figure.finite_mean) == (math.inf, 1, None)
    assert "Infinity" not in (tmp_path / "out" / "summary.json").read_text()
    assert [row.value for row in read_rows(tmp_path / "out") if row == psnr] == [math.inf]


@pytest.mark.parametrize(
    ("kind", "reason"), [(1, "NaN"), (2, "expected 6"), (3, "broken inside"), (4, "does not take")]
)
def test_what_breaks_is_a_row_with_its_reason_and_leaves_the_rest_alone(kit, save, registry, tmp_path, kind, reason):
    save(marked(kit.disc(6), kind), "system/bad")
    save(marked(kit.disc(6), 0), "system/good")
    found = evaluate(registry, tmp_path / "system", metrics=("odd", "step-mae"))
    bad, good = sorted(rows_of(found, "system", "odd"), key=lambda row: row.clip)
    assert (bad.value, bad.failed) == (None, True)
    assert reason in bad.missing
    assert (good.value, good.failed) == (1.0, False)
    assert {one["clip"] for one in found.facts["failures"]} == {"bad"}
    assert all(row.value is not None for row in rows_of(found, "system", "step-mae", "steps"))
    figure = next(f for f in found.summary.figures if f.quantity == "odd" and f.config == "system" and f.headline)
    assert (figure.n, figure.missing, figure.failed) == (1, 1, 1)


def test_what_cannot_be_measured_in_one_frame_is_not_averaged_away(kit, save, registry, tmp_path):
    save(marked(kit.disc(6), 5), "system/a")
    (row,) = rows_of(evaluate(registry, tmp_path / "system", metrics=("odd",)), "system", "odd")
    assert (row.value, row.failed, row.missing) == (None, False, "1 of 4 frames: too dark")


def test_broken_answers_are_not_kept(kit, save, registry, tmp_path):
    save(marked(kit.disc(6), 1), "system/a")
    for _ in range(2):
        found = evaluate(registry, tmp_path / "system", metrics=("odd",), out=tmp_path / "out")
        assert found.facts["failures"]


def test_a_metric_without_its_weights_is_told_and_others_go_on(kit, save, registry, tmp_path, monkeypatch):
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path / "home"))
    save(kit.disc(6), "system/a")
    found = evaluate(registry, tmp_path / "system", metrics=("weighted", "step-mae"), out=tmp_path / "out")
    (missing,) = found.facts["missing"]
    for words in ("weighted", "backbone.pth", "ab" * 32, str(tmp_path / "home"), "No score was computed"):
        assert words in missing["reason"]
    assert any("animegen weights fetch" in hint for hint in missing["hints"])
    (row,) = rows_of(found, "system", "weighted", "clip")
    assert row.value is None
    assert not row.failed
    assert rows_of(found, "system", "step-mae", "steps")[0].value > 0
    figures = read_summary(tmp_path / "out")["figures"]
    assert {f["mean"] for f in figures if f["quantity"] == "weighted"} == {None}


def test_nothing_is_measured_twice_and_a_damaged_entry_is(kit, save, registry, tmp_path):
    save(kit.disc(6), "system/a")
    request = {"metrics": ("step-mae",), "out": tmp_path / "out"}
    first = evaluate(registry, tmp_path / "system", **request)
    before = kit.StepMae.calls
    assert before > 0
    assert evaluate(registry, tmp_path / "system", **request).clips == first.clips
    assert kit.StepMae.calls == before

    entries = sorted((tmp_path / "out" / ".cache" / "scores").rglob("*.json"))
    assert len(entries) == before
    entry = json.loads(entries[0].read_text())
    entry["scores"]["step-mae"][0] += 1  # a number that reads well and is wrong
    entries[0].write_text(json.dumps(entry))
    entries[1].write_text(entries[1].read_text()[:20])
    entries[2].write_bytes(b"\xff\xfe\x00")
    told = Told()
    assert evaluate(registry, tmp_path / "system", reporter=told, **request).clips == first.clips
    assert kit.StepMae.calls == before + 3
    assert sum("measured again" in text for text in told.warnings) == 3


def test_a_moved_clip_is_known_again_and_a_changed_one_is_not(kit, save, registry, tmp_path):
    folder = save(kit.disc(6), "system/a")
    request = {"metrics": ("step-mae",), "cache": tmp_path / "cache"}
    evaluate(registry, tmp_path / "system", **request)
    before = kit.StepMae.calls
    (tmp_path / "system").rename(tmp_path / "elsewhere")
    evaluate(registry, tmp_path / "elsewhere", **request)
    assert kit.StepMae.calls == before
    save(kit.disc(6, way=20), "elsewhere/a")
    evaluate(registry, tmp_path / "elsewhere", **request)
    assert kit.StepMae.calls > before
    assert folder.name == "a"


def test_two_at_once_on_one_cache_agree(kit, save, registry, tmp_path):
    for name in "abc":
        save(kit.disc(6, way=10 + ord(name) % 7), f"system/{name}")
    found: list[object] = []

    def work() -> None:
        found.append(evaluate(registry, tmp_path / "system", metrics=("step-mae", "cpbd"), cache=tmp_path / "cache"))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert found[0].clips == found[1].clips == found[2].clips
    assert not list((tmp_path / "cache").rglob("*.part*"))


def test_pieces_of_a_long_clip_give_what_the_whole_gives(kit, save, registry, tmp_path):
    save(kit.disc(13), "system/a")
    save(kit.disc(13, ease=True), "truth/a")
    request = {"truth": tmp_path / "truth", "metrics": ("step-mae", "psnr", "cpbd", "transition")}
    whole = evaluate(registry, tmp_path / "system", **request)
    calls = kit.StepMae.calls
    pieces = evaluate(registry, tmp_path / "system", window=3 * 2 * 48 * 64 * 3, **request)
    assert kit.StepMae.calls - calls > calls
    for one, other in zip(whole.frames, pieces.frames, strict=True):
        assert (other.quantity, other.index, other.missing) == (one.quantity, one.index, one.missing)
        assert one.value is other.value is None or other.value == pytest.approx(one.value, rel=1e-9)
    assert [row.quantity for row in whole.clips] == [row.quantity for row in pieces.clips]


def test_only_frames_between_the_panels_count(kit, save, registry, tmp_path):
    frames, true = kit.disc(5), kit.disc(5)
    frames[[0, -1]] = 0  # wrong at the ends, right between
    save(frames, "system/a")
    save(true, "truth/a")
    found = evaluate(registry, tmp_path / "system", truth=tmp_path / "truth", metrics=("psnr",))
    assert rows_of(found, "system", "psnr")[0].value == math.inf
    counted = {row.index: row.counts for row in found.frames if row.config == "system"}
    assert counted == {0: False, 1: True, 2: True, 3: True, 4: False}


def test_late_frames_are_forgiven_by_the_tolerant_value_alone(kit, save, registry, tmp_path):
    true = kit.disc(9)
    late = np.concatenate([true[:1], true[0:1], true[1:7], true[8:]])  # every middle a step late
    save(late, "late/a")
    save(np.concatenate([true[:1], true[7:0:-1], true[8:]]), "backwards/a")
    save(true, "truth/a")
    found = evaluate(
        registry, tmp_path / "late", tmp_path / "backwards", truth=tmp_path / "truth", metrics=("psnr", "line-chamfer")
    )
    strict, tolerant = (rows_of(found, "late", "psnr", name)[0].value for name in ("middles", "middles-tolerant"))
    assert strict < 40
    assert tolerant == math.inf
    (back,) = (row.value for row in rows_of(found, "backwards", "line-chamfer", "middles-tolerant"))
    late_lines = [rows_of(found, "late", "line-chamfer", name)[0].value for name in ("middles", "middles-tolerant")]
    assert late_lines[1] < late_lines[0] / 5  # the last true frame has no drawing but an earlier one
    assert back > 10 * late_lines[1]  # in order, a clip that runs backwards matches half way alone


def test_an_equal_clip_does_not_carry_the_others_through_a_gate(kit, save, registry, tmp_path):
    for name, shade in (("same", 0), ("darker", 60)):
        frames = kit.disc(5)
        save(frames, f"true/{name}")
        save(np.where(frames > 200, frames - shade, frames).astype(np.uint8), f"system/{name}")
    found = evaluate(registry, tmp_path / "system", truth=tmp_path / "true", metrics=("endpoints",))
    (gate,) = [gate for gate in found.summary.gates if gate.rule.quantity == "endpoint-psnr"]
    assert gate.value is not None and gate.value < 20
    assert gate.verdict == "failed"
