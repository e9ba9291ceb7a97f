"""animegen evaluate and animegen compare, from finished runs and real clips to tables, conditions and exit codes."""

from __future__ import annotations

import csv
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen.imageio import write_image

tables = pytest.importorskip("animegen_eval.tables")
Call = Callable[..., Any]

SLOW = """
    import time
    from animegen import hookimpl
    from animegen.measuring import Quantity
    from animegen.stages import MetricSpec, Weight

    GONE = Weight("gone.pth", ("https://example.org/gone.pth",), "MIT", sha256="cd" * 32)

    @hookimpl
    def animegen_metrics():
        slow = Quantity("slow", "clip", "lower")
        lost = Quantity("lost", "clip", "lower")
        return [
            MetricSpec("slow", "animegen_slow:Slow", "Takes its time.", quantities=(slow,)),
            MetricSpec("lost", "animegen_slow:Slow", "Has no weights.", quantities=(lost,), weights=(GONE,)),
        ]

    class Slow:
        def __init__(self, options, context):
            pass

        def __call__(self, sample):
            time.sleep(0.3)
            return {"slow": float(len(sample.frames))}
"""


@pytest.fixture
def env(install: Call) -> dict[str, str]:
    return {"PYTHONPATH": str(install("animegen-slow", SLOW))}


@pytest.fixture
def clips(place: Path, picture: Call) -> Path:
    """Two real clips: a disc that moves over a shaded ground, ever faster, 9 and 7 frames."""
    for name, count in (("long", 9), ("short", 7)):
        for index in range(count):
            write_image(place / "clips" / name / f"{index:03d}.png", picture(96, 72, 3 * index + index * index // 4))
    return place / "clips"


HELD = ("--interpolator", "flow", "--interpolator", "crossfade", "--gap", "2", "--metric", "psnr", "--metric", "ssim")


def test_runs_are_scored_beside_controls_on_their_lossless_frames(
    animegen: Call, place: Path, pair: tuple[Path, Path]
) -> None:
    for interpolator in ("flow", "crossfade"):
        options = ("--detector", "none", "--preprocessor", "none", "--frames", "5")
        assert animegen("run", *pair, *options, "--interpolator", interpolator).code == 0
    result = animegen("evaluate", "runs", "--metric", "transition", "--metric", "endpoints", "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    systems = {one["config"] for one in document["figures"] if not one["control"]}
    assert {name.rpartition(" > ")[2] for name in systems} == {"flow", "crossfade"}
    controls = {one["config"] for one in document["figures"] if one["control"]}
    assert {"crossfade", "cut", "freeze", "warp-blend"} <= controls
    assert {one["stored"] for one in document["inputs"]} == {"frames"}
    assert {one["clip"] for one in document["inputs"]} == {"a-b"}
    endpoint = {one["config"]: one["mean"] for one in document["figures"] if one["quantity"] == "endpoint-psnr"}
    assert set(endpoint.values()) == {"inf"}  # the panels themselves are known, and both systems begin with them
    blend = {
        (one["config"], one["control"]): one["mean"]
        for one in document["figures"]
        if one["quantity"] == "blend-residual" and one["headline"]
    }
    assert blend["crossfade", True] == pytest.approx(0, abs=1e-4)
    verdicts = {(one["config"], one["rule"]["quantity"]): one["verdict"] for one in document["gates"]}
    assert verdicts[sorted(systems)[0], "endpoint-psnr"] == "passed"
    assert verdicts[sorted(systems)[0], "ghost-ratio"] == "unknown"  # nobody knows real clips of these panels
    assert {path.name for path in (place / "evaluation").iterdir()} == {
        ".cache", "frames.csv", "frames.parquet", "clips.csv", "clips.parquet", "summary.json",
    }  # fmt: skip
    with (place / "evaluation" / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"run", "config", "clip", "quantity", "variant", "index", "value", "missing", "unit", "better"} <= set(
        rows[0]
    )


def test_held_out_middles_tell_a_system_from_a_control(animegen: Call, clips: Path) -> None:
    result = animegen("evaluate", clips, *HELD, "--out", "one")
    assert result.code == 0, result.err
    assert "gap 2 (2 clips)" in result.out
    lines = {line.split()[0]: line for line in result.out.splitlines() if line.strip()}
    assert "high" in lines["psnr"]
    assert "[crossfade]" in result.out
    document = json.loads(Path("one/summary.json").read_text())
    means = {
        one["config"]: one["mean"]
        for one in document["figures"]
        if one["quantity"] == "psnr" and one["headline"] and not (one["control"] or one["stratum"])
    }
    assert means["flow"] > means["crossfade"] + 3
    drawn = {one["name"]: one["drawn"] for one in document["interpolators"]}
    assert [(row["gap"], row["pairs"], row["warned"]) for row in drawn["crossfade"]] == [(2, 7, 0)]
    assert drawn["flow"][0]["seconds"] > 0
    assert lines["flow"].split()[:3] == ["flow", "all", "2"] and "s a pair" in lines["drawn"]
    again = animegen("evaluate", clips, *HELD, "--out", "one")
    assert "measured before" in again.err or "made before" in again.err
    assert again.out == result.out  # what drawing took included, though nothing was drawn


def test_a_dissolve_that_was_warned_of_is_counted(animegen: Call, clips: Path) -> None:
    options = ("--interpolator", "flow", "-o", "flow.least_found=1", "--gap", "4", "--metric", "psnr", "--by", "clip")
    result = animegen("evaluate", clips, *options, "--json")
    assert result.code == 0, result.err
    (flow,) = json.loads(result.out)["interpolators"]
    assert [(row["clip"], row["pairs"], row["warned"]) for row in flow["drawn"]] == [("long", 2, 2), ("short", 1, 1)]
    assert "plain dissolve" in flow["drawn"][0]["warning"]
    assert flow["drawn"][0]["warning"] in animegen("evaluate", clips, *options).out


@pytest.mark.parametrize(
    ("condition", "code", "words"),
    [
        ("psnr<5", 0, ""),
        ("psnr<500", 7, "psnr of flow"),
        ("psnr:middles@2<=500", 7, "gap 2"),
        ("psnr@4<500", 2, "no such number"),
        ("psn<5", 2, "did you mean 'psnr'"),
        ("psnr=5", 2, "no condition"),
    ],
)
def test_conditions_are_exit_codes(animegen: Call, clips: Path, condition: str, code: int, words: str) -> None:
    result = animegen("evaluate", clips, *HELD, "--parts", "1", "--fail-if", condition)
    assert result.code == code
    assert words in result.err


def test_two_systems_of_one_evaluation_are_paired_by_clip(animegen: Call, clips: Path) -> None:
    assert animegen("evaluate", clips, *HELD, "--out", "one").code == 0
    result = animegen("compare", "crossfade", "flow", "--in", "one", "--metric", "psnr", "--json")
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)["rows"]
    assert row["metric"] == "psnr gap 2"
    assert (row["n"], row["improved"]) == (2, 2)
    assert row["test"]["mean"] > 3
    assert "B - A" in animegen("compare", "one:crossfade", "one:flow").out
    assert animegen("compare", "one", "one").code == 2  # which system?
    assert "did you mean 'flow'" in animegen("compare", "one:flo", "one:flow").err


def test_other_profiles_are_not_compared(animegen: Call, clips: Path) -> None:
    for gap in ("2", "4"):
        call = ("evaluate", clips, "--interpolator", "flow", "--gap", gap, "--metric", "psnr", "--out", f"gap{gap}")
        assert animegen(*call).code == 0
    result = animegen("compare", "gap2", "gap4")
    assert result.code == 4
    assert "different profiles" in result.err
    assert "gaps [2] and [4]" in result.err


def test_the_list_says_what_each_quantity_needs_and_what_beat_it(animegen: Call, clips: Path) -> None:
    before = {row["quantity"]: row for row in json.loads(animegen("evaluate", "--list", "--json").out)}
    assert before["psnr"]["needs"] == ["reference"]
    assert before["psnr"]["beaten_by"] is None
    assert before["ghost-ratio"]["needs"] == ["panels"]
    assert animegen("evaluate", clips, *HELD).code == 0
    listed = {row["quantity"]: row["beaten_by"] for row in json.loads(animegen("evaluate", "--list", "--json").out)}
    assert listed["psnr"] == ["warp-blend"]  # whole pixels of motion are all that the disc does
    assert listed["ghost-ratio"] is None  # not measured yet


def test_check_tries_each_metric(animegen: Call) -> None:
    result = animegen("evaluate", "--check", "--metric", "psnr", "--json")
    assert result.code == 0
    assert {row["level"] for row in json.loads(result.out)} == {"ok"}


def test_dry_run_measures_nothing(animegen: Call, clips: Path, place: Path) -> None:
    result = animegen("evaluate", clips, *HELD, "--dry-run", "--json")
    assert result.code == 0
    plan = dict(json.loads(result.out)["plan"])
    assert "2 systems, 2 clips" in plan["plan"]
    assert "MiB" in plan["need"]
    assert not (place / "evaluation").exists()


def test_triplets_as_in_published_tables(animegen: Call, place: Path, picture: Call) -> None:
    for name, shift in (("one", 3), ("two", 0)):  # the second is a held drawing, which those tables count as well
        for index in range(3):
            write_image(place / "test" / name / f"frame{index + 1}.png", picture(96, 72, shift * index))
    call = ("evaluate", "test", "--profile", "atd12k", "--interpolator", "crossfade", "--allow-missing")
    result = animegen(*call, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    shown = [one for one in document["figures"] if one["headline"] and not one["stratum"] and not one["control"]]
    figures = {one["quantity"]: one for one in shown}
    assert set(figures) >= {"psnr", "ssim-atd12k", "line-chamfer"}
    assert "ssim-wang2004" not in figures
    assert (figures["psnr"]["n"], figures["psnr"]["infinite"]) == (2, 1)
    write_image(place / "test" / "one" / "frame4.png", picture(96, 72, 0))
    wrong = animegen(*call)
    assert wrong.code == 4
    assert "one (4)" in wrong.err


def test_missing_weights_are_an_exit_code_unless_that_was_allowed(
    finish: Call, clips: Path, env: dict[str, str]
) -> None:
    call = ("evaluate", clips, "--metric", "lost", "--metric", "cpbd", "--json")
    result = finish(*call, env=env)
    assert result.code == 3
    for words in ("gone.pth", "cd" * 32, "No score was computed", "animegen weights fetch", "--allow-missing"):
        assert words in result.err
    document = json.loads(result.out)
    assert {one["mean"] for one in document["figures"] if one["quantity"] == "lost"} == {None}
    assert finish(*call, "--allow-missing", env=env).code == 0


def test_stopped_by_the_user_it_goes_on(
    animegen_process: Call, finish: Call, clips: Path, place: Path, env: dict[str, str]
) -> None:
    call = ("evaluate", clips, "--metric", "slow", "--json")
    process = animegen_process(*call, env=env)
    kept = place / "evaluation" / ".cache" / "scores"
    end = time.monotonic() + 60
    while len(list(kept.rglob("*.json"))) < 3 and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in err
    assert not (place / "evaluation" / "summary.json").exists()
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*.json")}
    assert len(before) >= 3
    result = finish(*call, "--resume", env=env)
    assert result.code == 0
    assert "measured before" in result.err
    assert {path: path.stat().st_mtime_ns for path in before} == before  # none of them was measured again
    values = [one["mean"] for one in json.loads(result.out)["figures"] if one["quantity"] == "slow"]
    assert values and np.isfinite(values).all()


def test_two_processes_on_one_cache(
    animegen_process: Call, finish: Call, clips: Path, place: Path, env: dict[str, str]
) -> None:
    def call(out: str) -> tuple[object, ...]:
        return "evaluate", clips, "--metric", "slow", "--metric", "cpbd", "--cache", "shared", "--out", out, "--json"

    started = [animegen_process(*call(out), env=env) for out in ("one", "two")]
    told = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    one, two = (tables.read_rows(place / out) for out in ("one", "two"))
    assert one == two
    kept = {path: path.stat().st_mtime_ns for path in (place / "shared" / "scores").rglob("*")}
    assert {path.suffix for path in kept if path.is_file()} == {".json"}  # nothing half written is left
    third = finish(*call("three"), env=env)
    assert third.code == 0, third.err
    assert "damaged" not in third.err
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # whole entries: none is measured again
    assert tables.read_rows(place / "three") == one
