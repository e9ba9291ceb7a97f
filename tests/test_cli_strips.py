"""``animegen run`` over more than two panels, in loops, untrained, and with stages that plan."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.imageio import read_image, write_image

Call = Callable[..., Any]

PLUGIN = """
    from dataclasses import dataclass
    from animegen import Demand, InterpolatorSpec, StagePlan, Weight, hookimpl, option

    @dataclass(frozen=True)
    class Options:
        steps: int = option(50, "Steps.", min=1, max=100)
        need: int = option(3, "GiB it says it takes.", min=0)
        wait: float = option(0.0, "Seconds a frame takes.", min=0)

    @hookimpl
    def animegen_interpolators():
        file = Weight("model.bin", ("https://weights.invalid/model.bin",), "MIT", size=10)
        return [
            InterpolatorSpec(
                "model", "animegen_model:Model", "A model.", Options, weights=(file,), untrained=True, frames=4,
                plan="animegen_model:plan", preview={"steps": 8}, uses_seed=True,
            )
        ]

    def plan(options, context, *, size, frames):
        have = 8 * 2**30
        demand = Demand("toy:0", options.need * 2**30, have, "the net")
        return StagePlan(f"{options.steps} steps", (demand,), "-o model.need=1")

    class Model:
        def __init__(self, options, context):
            import time
            if not context.untrained:
                context.weight("model.bin")
            self.context, self.options, self.sleep = context, options, time.sleep

        def __call__(self, first, last, times, *, prompt="", seed=0):
            import numpy as np
            frames = []
            for done, t in enumerate(times, start=1):
                self.sleep(self.options.wait)
                frames.append(first * (1 - t) + last * t)
                self.context.progress(done, len(times), "steps")
            return np.stack(frames).round().astype(np.uint8)
"""
MODEL = ("--detector", "none", "--interpolator", "model", "--untrained")


@pytest.fixture
def env(install: Call) -> dict[str, str]:
    return {"PYTHONPATH": str(install("animegen-model", PLUGIN))}


@pytest.fixture
def three(pair: tuple[Path, Path], place: Path, picture: Any) -> tuple[Path, Path, Path]:
    third = place / "c.png"
    write_image(third, picture(64, 48, 24))
    return (*pair, third)


def outputs(folder: Path) -> dict[str, bytes]:
    kept = [*folder.glob("clip*"), *sorted((folder / "frames").glob("*.png"))]
    return {path.name: path.read_bytes() for path in kept}


def test_three_panels(animegen: Call, three: Any, quick: Any) -> None:
    result = animegen("run", *three, *quick, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert (document["frames"], document["fps"], document["untrained"]) == (5, "12", [])
    assert "3 panels, 5 frames at 12 fps, 0.42 s" in result.err
    assert "2 pairs, 5 frames" in result.err
    record = json.loads(Path(document["run_json"]).read_text())
    assert [Path(facts["path"]).name for facts in record["inputs"].values()] == ["a.png", "b.png", "c.png"]
    frames = Path(document["frames_folder"])
    for index, path in ((0, three[0]), (2, three[1]), (4, three[2])):
        assert (read_image(frames / f"{index:06d}.png") == read_image(path)).all()
    assert "_a-b-c_" in document["folder"]


def test_a_loop_from_one_panel_two_and_three(animegen: Call, three: Any, quick: Any) -> None:
    for count, frames in ((1, 2), (2, 4), (3, 6)):
        result = animegen("run", *three[:count], *quick, "--loop", "--format", "gif,webp,apng,mp4", "--json")
        assert result.code == 0, result.err
        document = json.loads(result.out)
        assert document["frames"] == frames
        clips = [Path(path).read_bytes() for path in document["clips"]]
        assert b"NETSCAPE2.0\x03\x01\x00\x00" in clips[0]  # 0: for ever
        if count > 1:  # a still picture in a loop is a still picture to WebP
            anim = clips[1].index(b"ANIM")
            assert clips[1][anim + 12 : anim + 14] == b"\x00\x00"
        control = clips[2].index(b"acTL")
        assert clips[2][control + 8 : control + 12] == b"\x00\x00\x00\x00"
    assert "from a panel back to itself nothing may move" in animegen("run", three[0], *quick, "--loop").err


def test_the_record_makes_three_panels_again(animegen: Call, three: Any, quick: Any, picture: Any) -> None:
    Path("boxes.json").write_text("[[[5, 5, 20, 12]], null, []]")
    write_image("mask.png", picture(64, 48, 0) * 0 + 255)
    more = ("--text-boxes", "boxes.json", "--last-mask", "mask.png", "--loop")
    made = animegen("run", *three, *quick, *more)
    assert made.code == 0, made.err
    folder = Path(made.out.strip()).parent
    again = animegen("run", "--from", folder, "--out", "again")
    assert outputs(Path(again.out.strip()).parent) == outputs(folder)
    first, second = (json.loads((path / "run.json").read_text()) for path in (folder, Path(again.out.strip()).parent))
    assert (first["id"], first["inputs"]) == (second["id"], second["inputs"])
    assert [first["inputs"][name]["text_boxes"] for name in ("first", "panel-2", "last")] == [
        [[5, 5, 20, 12]],
        None,
        [],
    ]
    open_end = animegen("run", "--from", folder, "--no-loop", "--out", "open", "--json")
    assert json.loads(open_end.out)["frames"] == 5
    assert animegen("run", *three, *quick, *more, "--resume").out == made.out


def test_panels_of_mixed_sizes(animegen: Call, three: Any, quick: Any, picture: Any) -> None:
    write_image(three[1], picture(100, 40, 0))
    write_image(three[2], picture(30, 90, 0))
    document = json.loads(animegen("run", *three, *quick, "--json").out)
    assert (document["width"], document["height"], document["frames"]) == (64, 48, 5)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("a.png",), 2, ("LAST is missing", "--loop")),
        (("a.png", "b.png", "nothing.png"), 4, ("nothing.png", "LAST")),
        (("a.png", "nothing.png", "b.png"), 4, ("nothing.png", "PANEL 2")),
        (("a.png", "b.png", "c.png", "--sample"), 2, ("--sample",)),
        (("a.png", "--loop", "--last-mask", "a.png"), 2, ("--last-mask", "--first-mask")),
        (("a.png", "b.png", "c.png", "--text-boxes", "two.json"), 2, ("2 entries for 3 panels",)),
        (("a.png", "b.png", "--untrained"), 2, ("run.untrained", "has no effect")),
    ],
)
def test_wrong_input(animegen: Call, three: Any, quick: Any, args: Any, code: int, words: Any) -> None:
    Path("two.json").write_text("[[], []]")
    result = animegen("run", *args, *quick)
    assert (result.code, len(result.errors), result.out) == (code, 1, ""), result.err
    assert all(word in result.err for word in words), result.err
    assert not Path("runs").exists()


def test_a_batch_of_pairs_stays_one_and_can_loop(animegen: Call, three: Any, quick: Any) -> None:
    Path("pairs.tsv").write_text("one\ta.png\tb.png\ntwo\tb.png\tc.png\n")
    result = animegen("batch", "pairs.tsv", *quick, "--loop", "--json")
    assert result.code == 0, result.err
    for one in json.loads(result.out)["pairs"]:
        assert json.loads(Path(one["run_json"]).read_text())["outputs"]["count"] == 4


def test_ctrl_c_over_three_panels_keeps_the_pairs_that_are_finished(
    animegen_process: Call, finish: Call, three: Any, place: Path, env: dict[str, str]
) -> None:
    slow = (*MODEL, "-o", "model.wait=0.15")
    args = ("run", *three, *slow, "--progress", "json")
    process = animegen_process(*args, env=env)
    seen: list[dict[str, Any]] = []
    assert process.stderr is not None
    for line in process.stderr:
        seen.append(json.loads(line))
        if seen[-1]["event"] == "progress" and seen[-1]["done"] > 5:  # the first pair is the first four of eight
            break
    assert seen[-1]["total"] == 8
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    resumed = finish(*args, "--resume", env=env)
    assert resumed.code == 0, resumed.err
    events = [json.loads(line) for line in resumed.err.splitlines()]
    drawn = [event["done"] for event in events if event["event"] == "progress" and event["stage"] == "interpolate"]
    assert min(drawn) == 5, resumed.err  # the first pair was kept
    assert finish("run", *three, *slow, "--out", "unbroken", env=env).code == 0
    folders = [path for out in ("runs", "unbroken") for path in (place / out).glob("[!.]*")]
    assert len(folders) == 2
    assert outputs(folders[0]) == outputs(folders[1])


def test_untrained_is_marked_everywhere(finish: Call, three: Any, env: dict[str, str]) -> None:
    without = finish("run", *three[:2], "--detector", "none", "--interpolator", "model", env=env)
    assert (without.code, len(without.errors)) == (3, 1)
    assert "model.bin" in without.err
    made = finish("run", *three[:2], *MODEL, "--json", env=env)
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert Path(document["clip"]).name == "clip-untrained.mp4"
    assert document["untrained"] == ["animegen-model:model"]
    assert any("random parameters" in warning for warning in document["warnings"])
    assert "model (untrained)" in made.err
    assert json.loads(Path(document["run_json"]).read_text())["untrained"] == document["untrained"]
    assert b"(untrained)" in Path(document["clip"]).read_bytes()
    again = finish("run", "--from", document["run_json"], "--out", "again", env=env)
    assert again.out.strip().endswith("clip-untrained.mp4")
    assert finish("run", "--from", document["run_json"], "--no-untrained", env=env).code == 3


def test_the_plan_says_need_and_have_and_more_than_there_is_stops_it(
    finish: Call, three: Any, env: dict[str, str]
) -> None:
    dry = finish("run", *three, *MODEL, "--dry-run", "--json", env=env)
    assert dry.code == 0, dry.err
    document = json.loads(dry.out)
    assert document["untrained"] == ["animegen-model:model"]
    assert {"device": "toy:0", "need": 3 * 2**30, "have": 8 * 2**30} in document["memory"]
    said = {one["stage"]: one for one in document["stages"]}
    assert said["animegen-model:model"]["summary"] == "50 steps"
    assert "how    model: 50 steps" in dry.err
    assert "3.0 GiB on toy:0 (8.0 GiB free)" in dry.err
    for more in ((), ("--dry-run",)):
        refused = finish("run", *three, *MODEL, "-o", "model.need=9", *more, env=env)
        assert (refused.code, len(refused.errors), refused.out) == (5, 1, ""), refused.err
        assert "needs 9.0 GiB on toy:0 (the net); 8.0 GiB are free" in refused.err
        assert "hint: -o model.need=1" in refused.err
    assert not Path("runs").exists()


def test_preview_sets_what_the_stage_says_and_what_is_typed_holds(
    finish: Call, three: Any, env: dict[str, str]
) -> None:
    for more, value, source in (((), 8, "preview"), (("-o", "model.steps=20"), 20, "command line")):
        made = finish("run", *three, *MODEL, "--preview", *more, "--json", env=env)
        assert made.code == 0, made.err
        record = json.loads(Path(json.loads(made.out)["run_json"]).read_text())
        step = next(step for step in record["steps"] if step["role"] == "interpolator")
        assert step["options"]["steps"] == {"value": value, "source": source}
    shown = finish("plugins", "show", "model", env=env)
    assert "steps=8" in shown.out
    assert "--untrained" in shown.out
    facts = json.loads(finish("plugins", "show", "model", "--json", env=env).out)[0]
    assert (facts["untrained"], facts["preview"]) == (True, {"steps": 8})


@pytest.mark.data
def test_three_real_panels_in_a_loop(animegen: Call, real_data: Path) -> None:
    files = [real_data / "panels" / f"{name}.png" for name in (
        "02_pageblanche_bench_a", "02_pageblanche_bench_b", "01_pageblanche_headturn_a"
    )]  # fmt: skip
    document = json.loads(animegen("run", *files, "--frames", 3, "--loop", "--size", "160x120", "--json").out)
    assert (document["status"], document["frames"]) == ("done", 6)
