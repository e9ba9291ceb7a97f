"""``animegen run``, from what is typed to what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.imageio import read_image, write_image

Call = Callable[..., Any]


def record(result: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(result.out.strip()).with_name("run.json").read_text())
    return document


def test_standard_output_is_the_path_and_nothing_else(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    result = animegen("run", *pair, *quick)
    assert result.code == 0, result.err
    path = Path(result.out.strip())
    assert result.out.count("\n") == 1
    assert path.name == "clip.mp4"
    assert {"frames", "stages", "run.json", "log.txt", "sheet.png", "clip.mp4"} <= {
        p.name for p in path.parent.iterdir()
    }
    labels = [line.split()[0] for line in result.err.splitlines()]
    assert labels[0] == "plan"
    assert f"again  animegen run --from {path.parent / 'run.json'}" in result.err
    assert "[1/3] inpaint" in result.err


def test_without_panels_it_is_the_sample(animegen: Call, quick: Any) -> None:
    result = animegen("run", *quick)
    assert result.code == 0, result.err
    assert "bundled sample pair" in result.err
    assert "_sample_" in result.out
    named = animegen("run", "--sample", *quick, "--resume")
    assert named.out == result.out
    again = animegen("run", "--from", Path(result.out.strip()).parent, "--out", "again")
    assert Path(again.out.strip()).read_bytes() == Path(result.out.strip()).read_bytes()


def test_quiet_says_nothing(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    for args in (("-q", "run", *pair, *quick), ("run", *pair, *quick, "--quiet")):
        result = animegen(*args)
        assert (result.code, result.err) == (0, "")
        assert Path(result.out.strip()).is_file()


def test_verbose_shows_the_log(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    assert "log    open animegen:crossfade" in animegen("run", *pair, *quick, "-v").err


def test_json_is_one_document(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    for args in (("--json", "run", *pair, *quick), ("run", *pair, *quick, "--json")):
        document = json.loads(animegen(*args).out)
        assert (document["status"], document["frames"], document["fps"]) == ("done", 3, "12")
        assert (document["width"], document["height"], document["seconds"]) == (64, 48, 0.25)
        for name in ("clip", "sheet", "run_json", "folder", "frames_folder"):
            assert Path(document[name]).exists(), name


def test_progress_as_json_lines(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    result = animegen("run", *pair, *quick, "--progress", "json")
    events = [json.loads(line) for line in result.err.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "plan"
    assert {"started", "finished", "progress", "done", "again"} <= set(names)
    finished = [event for event in events if event["event"] == "finished"]
    assert [event["stage"] for event in finished] == ["inpaint", "interpolate", "write"]
    assert all(event["seconds"] >= 0 for event in finished)
    wrong = animegen("run", *pair, "--interpolator", "nothing", "--progress", "json")
    assert [json.loads(line)["event"] for line in wrong.err.splitlines()] == ["error"]


def test_progress_none_leaves_the_plan_and_the_result(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    result = animegen("run", *pair, *quick, "--progress", "none")
    assert "[1/" not in result.err
    assert "plan" in result.err
    assert "done" in result.err


def test_every_value_keeps_its_source(animegen: Call, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("animegen.toml").write_text('[run]\nseed = 5\nfps = "6"\n\n[flow]\nlines = 0.5\n')
    monkeypatch.setenv("ANIMEGEN_RUN_FPS", "10")
    args = (
        "--detector",
        "none",
        "--frames",
        "3",
        "-o",
        "flow.crossover=0.5",
        "--format",
        "mp4,gif",
        "--format",
        "webp",
    )
    found = record(animegen("run", *pair, *args))
    run = found["run"]
    assert run["seed"] == {"value": 5, "source": "animegen.toml"}
    assert run["fps"] == {"value": "10", "source": "environment"}
    assert run["frames"] == {"value": 3, "source": "command line"}
    assert run["format"] == {"value": ["mp4", "gif", "webp"], "source": "command line"}
    assert run["inpainter"] == {"value": "flat", "source": "recipe quick"}
    assert run["prompt"] == {"value": "", "source": "default"}
    step = next(step for step in found["steps"] if step["role"] == "interpolator")
    assert step["options"]["lines"] == {"value": 0.5, "source": "animegen.toml"}
    assert step["options"]["crossover"] == {"value": 0.5, "source": "command line"}
    assert step["options"]["least_found"]["source"] == "default"


def test_none_turns_a_stage_off(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    Path("animegen.toml").write_text('[run]\npreprocessor = ["lab"]\n')
    with_lab = record(animegen("run", *pair, *quick[:2], *quick[4:]))  # but for --preprocessor none
    without = record(animegen("run", *pair, *quick, "--preprocessor", "none", "--inpainter", "none"))
    assert [step["role"] for step in with_lab["steps"]] == ["inpainter", "preprocessor", "interpolator"]
    assert [step["role"] for step in without["steps"]] == ["interpolator"]


def test_a_record_makes_the_same_clip(
    animegen: Call, pair: tuple[Path, Path], quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("boxes.json").write_text('{"first": [[5, 5, 20, 12]], "last": []}')
    made = animegen("run", *pair, *quick, "--seed", 9, "--prompt", "a disc", "--fps", "7", "--text-boxes", "boxes.json")
    Path("animegen.toml").write_text("[run]\nseed = 1\nframes = 9\n")  # a record does not ask for anything else
    monkeypatch.setenv("ANIMEGEN_RUN_FPS", "30")
    folder = Path(made.out.strip()).parent
    again = animegen("run", "--from", folder / "run.json", "--out", "again")
    assert again.code == 0, again.err
    assert Path(again.out.strip()).read_bytes() == Path(made.out.strip()).read_bytes()
    assert record(again)["id"] == record(made)["id"]
    assert record(again)["inputs"] == record(made)["inputs"]
    faster = animegen("run", "--from", folder, "--fps", "14", "--out", "faster")
    assert record(faster)["run"]["fps"] == {"value": "14", "source": "command line"}


def test_a_record_of_a_panel_that_has_changed(
    animegen: Call, pair: tuple[Path, Path], quick: Any, picture: Any
) -> None:
    folder = Path(animegen("run", *pair, *quick).out.strip()).parent
    write_image(pair[1], picture(64, 48, 5))
    changed = animegen("run", "--from", folder)
    assert changed.code == 4
    assert len(changed.errors) == 1
    assert "b.png has changed" in changed.err
    assert "hint:" in changed.err
    assert animegen("run", *pair, "--from", folder).code == 0
    pair[1].unlink()
    gone = animegen("run", "--from", folder)
    assert (gone.code, len(gone.errors)) == (4, 1)


def test_a_mask_is_removed_and_recorded(animegen: Call, pair: tuple[Path, Path], quick: Any, picture: Any) -> None:
    mask = picture(64, 48, 0) * 0
    mask[10:20, 10:20] = 255
    write_image("mask.png", mask)
    result = animegen("run", *pair, *quick, "--first-mask", "mask.png")
    assert record(result)["inputs"]["first"]["mask"] == str(Path("mask.png").absolute())
    frame = read_image(Path(result.out.strip()).parent / "frames" / "000000.png")
    panel = read_image(pair[0])
    assert (frame[mask[..., 0] == 0] == panel[mask[..., 0] == 0]).all()
    assert (frame != panel).any()


def test_resume_gives_a_finished_run_back(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    first = animegen("run", *pair, *quick)
    second = animegen("run", *pair, *quick, "--resume")
    assert second.out == first.out
    assert "finished before" in second.err
    third = animegen("run", *pair, *quick)
    assert third.out != first.out
    assert "made before" in third.err
    assert "made before" not in animegen("run", *pair, *quick, "--force").err


def test_dry_run_makes_nothing(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    result = animegen("run", *pair, *quick, "--dry-run", "--json")
    plan = json.loads(result.out)
    assert plan["status"] == "planned"
    assert plan["plan"][0][0] == "plan"
    assert not Path("runs").exists()


def test_a_device_that_is_not_used_is_told(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    assert "cuda:1 is not used" in animegen("run", *pair, *quick, "--device", "cuda:1", "--dry-run").err
    assert "not used" not in animegen("run", *pair, *quick, "--device", "cpu", "--dry-run").err


def test_preview_is_smaller_and_as_long(animegen: Call, place: Path, picture: Any) -> None:
    for name in ("p.png", "q.png"):
        write_image(name, picture(900, 600, 0))
    args = ("run", "p.png", "q.png", "--detector", "none", "--interpolator", "crossfade", "--json")
    whole, quick = (json.loads(animegen(*args, *more).out) for more in ((), ("--preview",)))
    assert (quick["width"], quick["height"]) == (320, 214)
    assert (quick["frames"], whole["frames"]) == (9, 25)
    assert quick["seconds"] == whole["seconds"]
    own = json.loads(animegen(*args, "--preview", "--frames", 4, "--size", "64x32").out)
    assert (own["frames"], own["width"], own["height"]) == (4, 64, 32)
    sources = json.loads(Path(quick["run_json"]).read_text())["run"]
    assert sources["size"]["source"] == "preview"


def test_the_last_line_says_what_would_draw_better(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    last = animegen("run", *pair, *quick).err.splitlines()[-1]
    if "animegen-tooncrafter" not in last:
        pytest.skip("tooncrafter is installed here")
    assert last.startswith("better")
    assert "animegen-tooncrafter" in last


def test_missing_weights_stop_a_run_before_it_starts(
    finish: Call, install: Call, pair: tuple[Path, Path], quick: Any
) -> None:
    env = {
        "PYTHONPATH": str(
            install(
                "animegen-heavy",
                """
                from animegen import StageSpec, Weight, hookimpl

                @hookimpl
                def animegen_inpainters():
                    file = Weight("heavy.bin", ("https://weights.invalid/heavy.bin",), "MIT", size=10)
                    return [StageSpec("heavy", "animegen_heavy:Heavy", "Needs a file.", weights=(file,))]
                """,
            )
        )
    }
    result = finish("run", *pair, *quick, "--inpainter", "heavy", env=env)
    assert (result.code, len(result.errors)) == (3, 1)
    assert "heavy.bin" in result.err
    assert "animegen weights fetch heavy" in result.err
    assert not Path("runs").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_full_disk_is_one_line_and_the_run_goes_on_afterwards(
    finish: Call, pair: tuple[Path, Path], place: Path, picture: Any, quick: Any
) -> None:
    """A limit on the size of a file stands in for a full disk: writing fails in the middle of a file either way."""
    import numpy as np

    noise = np.random.default_rng(0)
    for name in ("n.png", "m.png"):
        write_image(name, noise.integers(0, 256, (200, 200, 3), dtype=np.uint8))
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from animegen_cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "run", "n.png", "m.png", *quick]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("error:") == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(place.rglob("*.part.png"))
    resumed = finish("run", "n.png", "m.png", *quick, "--resume")
    assert resumed.code == 0, resumed.err


def test_a_disk_that_is_really_full(finish: Call, pair: tuple[Path, Path], place: Path, quick: Any) -> None:
    """On a file system of 64 KiB, where one can be mounted."""
    small = place / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        result = finish("run", "--sample", *quick, "--out", small)
        assert (result.code, len(result.errors)) == (5, 1), result.err
        assert "No space left" in result.err
        assert "--out" in result.err or "free some space" in result.err
        assert not list(small.rglob("*.part*.png"))
    finally:
        subprocess.run(["umount", str(small)], check=False)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything")
def test_what_may_not_be_read_or_written(animegen: Call, pair: tuple[Path, Path], place: Path, quick: Any) -> None:
    locked = place / "locked"
    locked.mkdir(mode=0o500)
    result = animegen("run", *pair, *quick, "--out", locked)
    assert (result.code, len(result.errors)) == (5, 1), result.err
    pair[0].chmod(0)
    result = animegen("run", *pair, *quick)
    assert (result.code, len(result.errors)) == (4, 1), result.err
    assert "Permission denied" in result.err


def test_runs_at_the_same_time_have_folders_of_their_own(
    animegen_process: Call, pair: tuple[Path, Path], quick: Any
) -> None:
    started = [animegen_process("run", *pair, *quick, "-q") for _ in range(3)]
    clips = {process.communicate(timeout=120)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(clips) == 3
    assert len({Path(clip).read_bytes() for clip in clips}) == 1


@pytest.mark.data
def test_real_panels(animegen: Call, real_data: Path) -> None:
    first, last = (real_data / "panels" / f"07_torinome_bird_{side}.png" for side in "ab")
    document = json.loads(animegen("run", first, last, "--frames", 5, "--json").out)
    assert (document["status"], document["frames"]) == ("done", 5)
    height, width = read_image(first).shape[:2]
    assert (document["width"], document["height"]) == (width, height)


def test_the_runs_folder_needs_no_name_that_is_special(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    result = animegen("run", *pair, *quick, "--out", "my runs/パネル")
    assert result.code == 0, result.err
    assert shutil.disk_usage(Path(result.out.strip()).parent)
