"""Stopped at any moment, by the user or by the power cut, a run goes on where it was and ends the same."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

SLOW = """
    import time
    from animegen import InterpolatorSpec, hookimpl

    @hookimpl
    def animegen_interpolators():
        return [InterpolatorSpec("slow", "animegen_slow:Slow", "A dissolve that takes its time.")]

    class Slow:
        def __init__(self, options, context):
            self.context = context

        def __call__(self, first, last, times, *, prompt="", seed=0):
            import numpy as np
            frames = []
            for done, t in enumerate(times, start=1):
                time.sleep(0.03)
                frames.append(first * (1 - t) + last * t)
                self.context.progress(done, len(times), "frames")
            return np.stack(frames).round().astype(np.uint8)
"""
OPTIONS = ("--detector", "none", "--interpolator", "slow", "--upsampler", "slow", "--frames", "8", "--factor", "4")


@pytest.fixture
def env(install: Call) -> dict[str, str]:
    return {"PYTHONPATH": str(install("animegen-slow", SLOW))}


def outputs(folder: Path) -> dict[str, bytes]:
    """The clip and the frames of a run."""
    kept = [folder / "clip.mp4", *sorted((folder / "frames").glob("*.png"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def only_run(out: Path) -> Path:
    (folder,) = [path for path in out.iterdir() if not path.name.startswith(".") and path.is_dir()]
    return folder


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited for a minute"
        time.sleep(0.005)


def events_until(process: subprocess.Popen[str], last: Callable[[dict[str, Any]], bool]) -> None:
    """Read what a process says with ``--progress json`` up to an event."""
    assert process.stderr is not None
    for line in process.stderr:
        if last(json.loads(line)):
            return
    raise AssertionError("the event never came")


MOMENTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "plan": lambda event: event["event"] == "plan",
    "interpolate begins": lambda event: event["event"] == "started" and event["stage"] == "interpolate",
    "inside interpolate": lambda event: event["event"] == "progress" and event["stage"] == "interpolate",
    "upsample begins": lambda event: event["event"] == "started" and event["stage"] == "upsample",
    "inside upsample": lambda event: event.get("unit") == "gaps" and event["done"] >= 3,
    "end of upsample": lambda event: event["event"] == "finished" and event["stage"] == "upsample",
    "write begins": lambda event: event["event"] == "started" and event["stage"] == "write",
    "inside write": lambda event: event["event"] == "progress" and event["stage"] == "write",
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_after_kill_9_resume_gives_the_clip_of_an_unbroken_run(
    animegen_process: Call, finish: Call, pair: tuple[Path, Path], place: Path, env: dict[str, str], moment: str
) -> None:
    unbroken = finish("run", *pair, *OPTIONS, "--out", "unbroken", env=env)
    assert unbroken.code == 0, unbroken.err
    broken = animegen_process("run", *pair, *OPTIONS, "--progress", "json", env=env)
    events_until(broken, MOMENTS[moment])
    broken.kill()
    broken.wait()
    resumed = finish("run", *pair, *OPTIONS, "--resume", env=env)
    assert resumed.code == 0, resumed.err
    assert outputs(only_run(place / "runs")) == outputs(only_run(place / "unbroken"))
    assert not list((place / "runs").rglob("*.part*"))
    status = json.loads((only_run(place / "runs") / "run.json").read_text())["status"]
    assert status == "done"


def test_ctrl_c_prints_the_line_that_goes_on(
    animegen_process: Call, finish: Call, pair: tuple[Path, Path], place: Path, env: dict[str, str]
) -> None:
    args = ("run", *pair, *OPTIONS, "--out", "my runs")
    process = animegen_process(*args, env=env)
    wait_until(lambda: len(list(place.glob("my runs/.cache/*/*.part/*.png"))) > 4, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.count("error:") == 1
    hint = next(line for line in err.splitlines() if "hint:" in line).partition("hint: ")[2]
    command = shlex.split(hint)
    assert command == ["animegen", *map(str, args), "--resume"]
    assert json.loads((only_run(place / "my runs") / "run.json").read_text())["status"] == "interrupted"
    resumed = finish(*command[1:], env=env)
    assert resumed.code == 0, resumed.err
    assert finish("run", *pair, *OPTIONS, "--out", "unbroken", env=env).code == 0
    assert outputs(only_run(place / "my runs")) == outputs(only_run(place / "unbroken"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_in_a_batch(
    animegen_process: Call, finish: Call, pair: tuple[Path, Path], place: Path, env: dict[str, str], jobs: int
) -> None:
    (place / "pairs.tsv").write_text("".join(f"p{number}\ta.png\tb.png\tprompt {number}\n" for number in range(6)))
    args = ("batch", "pairs.tsv", *OPTIONS, "--jobs", jobs)
    process = animegen_process(*args, env=env)
    wait_until(lambda: bool(list(place.glob("runs/*/clip.mp4"))), process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err, err
    assert err.count("error:") == 1
    assert shlex.join(["animegen", *map(str, args), "--resume"]) in err
    finished = len(out.split())
    resumed = finish(*args, "--resume", env=env)
    assert resumed.code == 0, resumed.err
    assert f"{6 - finished} done, {finished} skipped" in resumed.err or finished == 0
    assert len(resumed.out.split()) == 6


def test_a_reader_that_goes_away_is_no_error(animegen_process: Call) -> None:
    process = animegen_process("config", "schema")
    process.stdout.close()
    assert process.wait(60) in (0, 141)
    assert process.stderr.read() == ""
