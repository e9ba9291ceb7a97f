"""``animegen ablate``: pairs that fail, results that are damaged, and a study that is stopped or killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
Options = tuple[str, ...]


def test_a_missing_file_in_the_middle_drops_its_pair_everywhere(
    animegen: Call, table: Path, counts: Call, eight: Options
) -> None:
    gone = table.parent / "two_b.png"
    kept = gone.read_bytes()
    gone.unlink()
    result = animegen("ablate", table, *eight, "--json")
    assert result.code == 6
    assert [failure["id"] for failure in json.loads(result.out)["failed"]] == ["two"]
    assert not list(Path("runs/ablation/clips").glob("*/*-two"))
    assert len(list(Path("runs/ablation/clips").glob("*/*"))) == 16
    assert "two_b.png does not exist" in Path("runs/ablation/failed.tsv").read_text()
    gone.write_bytes(kept)
    mended = animegen("ablate", table, *eight)
    assert mended.code == 0, mended.err
    assert counts()["sample"] == 8
    assert not Path("runs/ablation/failed.tsv").exists()


def test_a_stage_that_gives_garbage(
    animegen: Call, table: Path, counts: Call, monkeypatch: pytest.MonkeyPatch, eight: Options
) -> None:
    monkeypatch.setenv("GARBAGE", "20")  # the third pair; the others' first pixel is another
    result = animegen("ablate", table, *eight)
    assert result.code == 6
    assert "three is left out of all configurations: interpolate" in result.err
    assert len(list(Path("runs/ablation/clips").glob("*/*/clip.mp4"))) == 16


def test_ctrl_c_and_again(
    animegen: Call, table: Path, counts: Call, monkeypatch: pytest.MonkeyPatch, eight: Options
) -> None:
    bomb = table.parent / "bomb"
    monkeypatch.setenv("CTRL_C", str(bomb))
    bomb.write_text("")
    stopped = animegen("ablate", table, *eight)
    assert stopped.code == 130
    assert "--resume" in stopped.err
    assert animegen("ablate", table, *eight, "--resume").code == 0
    assert counts()["sample"] == 8


def test_damaged_results_are_made_again_and_told(
    animegen: Call, table: Path, counts: Call, eight: Options, frames_of: Call
) -> None:
    assert animegen("ablate", table, *eight).code == 0
    whole = frames_of(Path("runs/ablation"))
    drawn = sorted(Path("runs/.cache").glob("??/*/000002.png"))  # frames of interpolators and upsamplers
    short, rotten = drawn[0], drawn[-1]
    short.write_bytes(short.read_bytes()[:-9])
    data = bytearray(rotten.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    rotten.write_bytes(data)
    shutil.rmtree("runs/ablation")
    first = animegen("ablate", table, *eight)
    told = first.err
    if first.code:  # a right length shows only when it is decoded; the next call makes it again
        assert first.code == 6
        assert "a kept result was damaged" in told, told
        second = animegen("ablate", table, *eight)
        assert second.code == 0, second.err
        told += second.err
    assert "is damaged and is made again" in told
    assert frames_of(Path("runs/ablation")) == whole


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_nothing_is_lost_or_made_twice(
    animegen_process: Call, animegen: Call, table: Path, counts: Call, workers: int, eight: Options, frames_of: Call
) -> None:
    slow = [part if part != "counted" else "slow" for part in eight]
    moments = random.Random(workers)
    kills = 0
    for _ in range(5):
        done = counts()["sample"]
        process = animegen_process("ablate", table, *slow, "--out", "killed", "--workers", workers)
        end = time.monotonic() + 60
        while counts()["sample"] == done and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5))
        if process.poll() is not None:
            break
        process.kill()  # the one that was started alone: its workers must end by themselves
        process.wait()
        kills += 1
        _wait_for_group(process)
    assert kills, "the study was over before it could be killed"
    result = animegen("ablate", table, *slow, "--out", "killed", "--workers", workers)
    assert result.code == 0, result.err
    # What a process was busy with when it was killed is made again; nothing else is.
    assert 8 <= counts()["sample"] <= 8 + kills * workers
    assert animegen("ablate", table, *eight, "--out", "whole").code == 0
    assert frames_of(Path("killed/ablation")) == frames_of(Path("whole/ablation"))


def _wait_for_group(process: subprocess.Popen[str]) -> None:
    """Until no process of a killed one's group is left."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    pytest.fail("workers outlived the process that started them")
