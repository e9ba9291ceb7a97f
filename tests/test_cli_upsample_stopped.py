"""``animegen upsample``, stopped at any moment, goes on and ends the same."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen.pipeline.record import read_record
from animegen.video import VideoReader, write_video

Call = Callable[..., Any]

FPS = Fraction(12)


def moving(count: int, picture: Call, width: int = 64, height: int = 48) -> list[np.ndarray]:
    return [picture(width, height, 3 * index) for index in range(count)]


def frames_of(path: Path, **more: Any) -> list[np.ndarray]:
    with VideoReader(path, **more) as video:
        return list(video)


def clip_of(result: Any) -> Path:
    assert result.code == 0, result.err
    (line,) = result.out.splitlines()
    return Path(line)


@pytest.fixture
def film(place: Path, picture: Call) -> Path:
    """Ten frames at 12 per second, lossless."""
    write_video(place / "film.mkv", moving(10, picture), FPS)
    return place / "film.mkv"


SLOW = """
    import time
    import numpy as np
    from animegen import InterpolatorSpec, hookimpl

    @hookimpl
    def animegen_interpolators():
        return [InterpolatorSpec("slow", "animegen_slow:Slow", "A dissolve that takes its time.")]

    class Slow:
        def __init__(self, options, context):
            pass

        def __call__(self, first, last, times, *, prompt="", seed=0):
            time.sleep(0.01 * len(times))
            return np.stack([np.rint(first * (1 - t) + last * t) for t in times]).astype(np.uint8)
"""


@pytest.fixture
def slow(install: Call) -> dict[str, str]:
    return {"PYTHONPATH": str(install("animegen-slow", SLOW))}


def segments(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.glob("*/.cache/films/*/*/*.nut")}


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(
    animegen_process: Call, finish: Call, place: Path, picture: Call, slow: dict[str, str], device: str
) -> None:
    write_video(place / "film.mkv", moving(90, picture), FPS)
    args = ("upsample", "film.mkv", "--with", "slow", "--factor", 3, "--device", device)
    whole = finish(*args, "--out", "whole", env=slow)
    clip = clip_of(whole)
    seen: dict[str, bytes] = {}
    chance = random.Random(device)
    for _ in range(8):
        process = animegen_process(*args, "--resume", env=slow)
        time.sleep(chance.uniform(0.4, 2.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = segments(place)
        assert all(kept.get(name, data) == data for name, data in seen.items())
        seen |= kept
    last = finish(*args, "--resume", env=slow)
    assert clip_of(last).read_bytes() == clip.read_bytes()
    made = read_record(clip_of(last).parent)
    assert made["status"] == "done"
    assert len([path for path in (place / "runs").iterdir() if not path.name.startswith(".")]) == 1
    assert not list((place / "runs").rglob("*.part*"))
    assert not list((place / "runs").rglob("*.spool"))


def test_ctrl_c_keeps_frames_and_prints_the_line_that_goes_on(
    animegen_process: Call, finish: Call, place: Path, picture: Call, slow: dict[str, str]
) -> None:
    write_video(place / "film.mkv", moving(60, picture), FPS)
    args = ("upsample", "film.mkv", "--with", "slow", "--factor", 4, "--out", "my runs")
    process = animegen_process(*args, env=slow)
    end = time.monotonic() + 60
    while len(list(place.glob("my runs/.cache/films/*/*/*.spool/*.raw"))) < 5:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    hint = next(line for line in err.splitlines() if "hint:" in line).partition("hint: ")[2]
    command = shlex.split(hint)
    assert command == ["animegen", *map(str, args), "--resume"]
    folder = next(path for path in (place / "my runs").iterdir() if not path.name.startswith("."))
    assert read_record(folder)["status"] == "interrupted"
    resumed = finish(*command[1:], env=slow)
    assert clip_of(resumed) == Path("my runs") / folder.name / "clip.mp4"
    assert "made before" in resumed.err


def test_a_full_disk_loses_nothing(animegen: Call, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    import animegen.film.parts as parts

    put, count = parts.Spool.put, 0

    def full(self: Any, number: int, image: Any) -> None:
        nonlocal count
        count += 1
        if count > 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(self, number, image)

    with monkeypatch.context() as patch:
        patch.setattr(parts.Spool, "put", full)
        result = animegen("upsample", film, "--with", "flow")
    assert (result.code, len(result.errors)) == (5, 1)
    assert "No space left" in result.err
    assert "--resume" in result.err
    resumed = animegen("upsample", film, "--with", "flow", "--resume")
    info = read_record(clip_of(resumed).parent)["steps"][0]["info"]
    assert info["kept"] == 7
    other = clip_of(animegen("upsample", film, "--with", "flow", "--out", "other"))
    assert other.read_bytes() == clip_of(resumed).read_bytes()


def test_a_disk_that_is_full_at_the_very_end(animegen: Call, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame is there; the clip alone does not fit. Going on reads no frame and needs no stage."""
    import animegen.film.outputs as outputs
    from animegen.errors import ResourceError

    def full(*_: Any, **__: Any) -> None:
        raise ResourceError("clip.mp4 cannot be written: No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "join", full)
        result = animegen("upsample", film, "--with", "flow")
    assert (result.code, len(result.errors)) == (5, 1)
    assert "--resume" in result.err
    with monkeypatch.context() as patch:
        patch.setattr("animegen.film.film.Film._draw", None)
        resumed = animegen("upsample", film, "--with", "flow", "--resume")
    assert len(frames_of(clip_of(resumed))) == 20
    step = read_record(clip_of(resumed).parent)["steps"][0]
    assert (step["cached"], step["info"]["frames_in"], step["info"]["kept"]) == (True, 10, 20)


def test_what_a_broken_run_drew_is_used_without_a_word_too_unless_it_is_forced(
    animegen: Call, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for more in ((), ("--force",)):
        with monkeypatch.context() as patch:
            patch.setattr("animegen.film.film.Film._finish", None)
            assert animegen("upsample", film, "--with", "crossfade", *more).code == 1
        clip = clip_of(animegen("upsample", film, "--with", "crossfade", *more))
        kept.append(read_record(clip.parent)["steps"][0]["info"]["kept"])
    assert kept == [20, 0]


@pytest.mark.slow
def test_files_that_may_not_grow_further(place: Path, finish: Call, picture: Call) -> None:
    """A limit of the system in place of a full disk: the encoder, too, is told that it cannot write."""
    noise = np.random.default_rng(0)
    write_video(place / "film.mkv", [noise.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(40)], FPS)
    args = ["upsample", "film.mkv", "--with", "crossfade", "--cuts", "none", "--format", "mkv"]
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500000, 1500000));"
        "from animegen_cli.main import main; sys.exit(main())"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", program, *args], cwd=place, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("error:") == 1
    assert "same command with --resume" in done.stderr
    assert "Traceback" not in done.stderr
    resumed = finish(*args, "--resume")
    assert len(frames_of(clip_of(resumed))) == 80


def test_two_processes_do_not_share_a_film(
    animegen_process: Call, finish: Call, place: Path, picture: Call, slow: dict[str, str]
) -> None:
    write_video(place / "film.mkv", moving(60, picture), FPS)
    args = ("upsample", "film.mkv", "--with", "slow", "--factor", 4)
    process = animegen_process(*args, env=slow)
    end = time.monotonic() + 60
    while not list(place.glob("runs/.cache/films/*/*/*.spool")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # still there when the other one comes, however slowly that starts
    second = finish(*args, "--resume", env=slow)
    assert (second.code, len(second.errors)) == (2, 1)
    assert "another process" in second.err
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == 0
