"""``animegen ablate``: what is shared, what is kept, what is left out, and what bad input says."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.imageio import write_image
from animegen_eval.tables import read_rows

Call = Callable[..., Any]

COUNTED = """
    import os
    from animegen import Box, DetectorSpec, InterpolatorSpec, Region, StageSpec, hookimpl
    from animegen.measuring import Quantity
    from animegen.stages import MetricSpec

    def note(what):
        with open(os.environ["COUNTED"], "a") as file:
            file.write(what + "\\n")

    @hookimpl
    def animegen_detectors():
        return [DetectorSpec("corner", "animegen_counted:Corner", "A balloon in the corner of bright pictures.")]

    @hookimpl
    def animegen_inpainters():
        return [StageSpec("black", "animegen_counted:Black", "Fills with black.")]

    @hookimpl
    def animegen_preprocessors():
        return [StageSpec("brighter", "animegen_counted:Brighter", "One level up.")]

    @hookimpl
    def animegen_interpolators():
        return [
            InterpolatorSpec("counted", "animegen_counted:Counted", "A dissolve of four frames.", frames=4),
            InterpolatorSpec("slow", "animegen_counted:Slow", "A dissolve that takes its time.", frames=4),
        ]

    @hookimpl
    def animegen_metrics():
        quantity = Quantity("fragile", "clip", "lower")
        return [MetricSpec("fragile", "animegen_counted:Fragile", "Breaks on one pair.", quantities=(quantity,))]

    class Stage:
        def __init__(self, options, context):
            note(f"open {type(self).__name__}")

    class Corner(Stage):
        def __call__(self, image, text_boxes=()):
            note("detect")
            return [Region("balloon", Box(2, 2, 12, 12))] if image[:, :, 0].max() > 250 else []

    class Black(Stage):
        def __call__(self, image, mask):
            note("inpaint")
            filled = image.copy()
            filled[mask] = 0
            return filled

    class Brighter(Stage):
        def __call__(self, image):
            note("preprocess")
            return image + (image < 255).astype(image.dtype)

    class Counted(Stage):
        wait = 0.0

        def __call__(self, first, last, times, *, prompt="", seed=0):
            import time
            import numpy as np
            if os.environ.get("GARBAGE") and first[0, 0, 0] == int(os.environ["GARBAGE"]):
                return np.full((len(times), *first.shape), np.nan)
            if os.environ.get("CTRL_C") and os.path.exists(os.environ["CTRL_C"]):
                os.unlink(os.environ["CTRL_C"])
                raise KeyboardInterrupt
            while os.path.exists(os.environ.get("HELD") or "/nowhere/at/all"):
                time.sleep(0.02)
            time.sleep(self.wait)
            note("sample")
            return np.stack([first * (1 - t) + last * t for t in times]).round().astype(np.uint8)

    class Slow(Counted):
        wait = 0.15

    class Fragile(Stage):
        def __call__(self, sample):
            if sample.frames[0, 0, 0, 0] in (20, 21):
                raise ValueError("too much for it")
            return {"fragile": float(sample.frames.mean())}
"""
ON = ("--on", "inpainter=black", "--on", "preprocessor=brighter", "--on", "upsampler=crossfade")
STAGES = ("--detector", "corner", "--interpolator", "counted", "--fps", "8")
EIGHT = (*ON, *STAGES, "--frames", "4", "--factor", "2", "--no-scores")


@pytest.fixture
def counts(install: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counter[str]]:
    """``counts()``: what the counting stages have done so far, in whatever process."""
    folder, log = install("animegen-counted", COUNTED), tmp_path / "counted.txt"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("COUNTED", str(log))

    def count() -> Counter[str]:
        return Counter(log.read_text().split("\n")[:-1]) if log.exists() else Counter()

    return count


@pytest.fixture
def table(place: Path, picture: Any) -> Path:
    """Three pairs of two titles; the panels of the second have a balloon in their corner."""
    rows = ["id\tfirst\tlast\ttitle"]
    for number, (name, title) in enumerate((("one", "A"), ("two", "B"), ("three", "A"))):
        for side, shift in (("a", 3 * number), ("b", 3 * number + 5)):
            image = picture(48, 40, shift)
            image[4:8, 4:8] = 255 if name == "two" else 30
            image[0, 0] = 10 * number
            write_image(place / f"{name}_{side}.png", image)
        rows.append(f"{name}\t{name}_a.png\t{name}_b.png\t{title}")
    path = place / "pairs.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


def clips(study: Path) -> dict[str, bytes]:
    """Every frame of every clip of a study."""
    return {str(path.relative_to(study)): path.read_bytes() for path in study.glob("clips/*/*/frames/*.png")}


def test_eight_configurations_cost_four_samplings_a_pair(animegen: Call, table: Path, counts: Call) -> None:
    result = animegen("ablate", table, *EIGHT, "--json")
    assert result.code == 0, result.err
    # A balloon in one pair: four samplings there. Without one, taking it away changes nothing: two each.
    assert counts()["sample"] == 4 + 2 + 2
    assert (counts()["detect"], counts()["inpaint"], counts()["preprocess"]) == (6, 2, 2 * 4 + 0)
    assert {name: count for name, count in counts().items() if name.startswith("open")} == {
        "open Corner": 1,
        "open Black": 1,
        "open Brighter": 1,
        "open Counted": 1,
    }
    study = Path("runs/ablation")
    assert len(list(study.glob("clips/*/*/clip.mp4"))) == 24
    assert len({path.parent.parent.name for path in study.glob("clips/*/*/run.json")}) == 8
    lengths = {code: len(list(next(study.glob(f"clips/{code}/*")).glob("frames/*.png"))) for code in ("000", "111")}
    assert lengths == {"000": 4, "111": 7}
    assert json.loads(result.out)["generated"]["made"]["interpolator"] == 8


def test_a_clip_is_that_of_a_run_of_its_own(animegen: Call, table: Path, counts: Call) -> None:
    assert animegen("ablate", table, *EIGHT).code == 0
    (ours,) = Path("runs/ablation/clips/111").glob("*-two")
    alone = ("--inpainter", "black", "--preprocessor", "brighter", "--upsampler", "crossfade", "--frames", "4")
    result = animegen("run", "two_a.png", "two_b.png", *STAGES, *alone, "--factor", "2", "--out", "own", "--json")
    assert result.code == 0, result.err
    own = Path(json.loads(result.out)["frames_folder"])
    assert [path.read_bytes() for path in sorted(own.glob("*.png"))] == [
        path.read_bytes() for path in sorted((ours / "frames").glob("*.png"))
    ]
    record = json.loads((ours / "run.json").read_text())
    assert record["status"] == "done"
    assert animegen("run", "--from", ours / "run.json", "--out", "again").code == 0


def test_again_makes_nothing_and_a_second_study_shares(animegen: Call, table: Path, counts: Call) -> None:
    assert animegen("ablate", table, *EIGHT).code == 0
    before = counts()
    again = animegen("ablate", table, *EIGHT)
    assert again.code == 0, again.err
    assert counts() == before
    # Two of the three factors, with balloons removed throughout: half of the first study's configurations.
    other = animegen("ablate", table, *EIGHT[2:], "--inpainter", "black", "--study", "smaller")
    assert other.code == 0, other.err
    assert counts()["sample"] == before["sample"]
    planned = animegen("ablate", table, *EIGHT, "--dry-run")
    assert "interpolate 12 (instead of 24), 12 made before" in planned.err


def test_two_workers_give_the_same(animegen: Call, table: Path, counts: Call) -> None:
    assert animegen("ablate", table, *EIGHT, "--out", "alone").code == 0
    before = counts()["sample"]
    result = animegen("ablate", table, *EIGHT, "--out", "both", "--workers", "2")
    assert result.code == 0, result.err
    assert counts()["sample"] == 2 * before
    assert clips(Path("both/ablation")) == clips(Path("alone/ablation"))


def test_scores_effects_and_tables(animegen: Call, table: Path, counts: Call) -> None:
    metrics = ("--metric", "transition", "--metric", "endpoints", "--scores")
    result = animegen("ablate", table, *EIGHT[:-1], *metrics)
    assert result.code == 0, result.err
    study = Path("runs/ablation")
    assert result.out.splitlines()[-1] == str(study / "table.md")
    for name in ("frames.parquet", "frames.csv", "clips.parquet", "clips.csv", "summary.json"):
        assert (study / name).is_file(), name
    analysis = json.loads((study / "analysis.json").read_text())
    effects = {one["metric"]: {e["name"]: e["test"]["mean"] for e in one["effects"]} for one in analysis["effects"]}
    assert set(effects["blend-residual"]) >= {"balloon-removal", "preprocessing", "upsampling"}
    # The upsampler keeps the frames it is given, so at equal times it changes nothing whatever.
    assert {effects[name]["upsampling"] for name in effects} == {0}
    # Panels as drawn are the reference in every cell: brightened, a clip ends a level away from them.
    assert analysis["skipped"]["endpoint-psnr"].endswith("infinite in a cell")
    ends = [row for row in read_rows(study) if row.quantity == "endpoint-psnr" and not row.control]
    assert {row.config[1]: round(row.value or 0, 1) for row in ends if row.config[0] == row.config[2] == "0"} == {
        "0": float("inf"),
        "1": 48.1,
    }
    record = json.loads((study / "study.json").read_text())
    assert record["references"]["panels"] == "as drawn"
    assert [pair["id"] for pair in record["choice"]["pairs"]]
    assert "| 111 |" in (study / "table.md").read_text()
    summary = json.loads((study / "summary.json").read_text())
    described = {one["name"]: one["summary"] for metric in summary["metrics"] for one in metric["quantities"]}
    assert described["blend-residual"] == "what no mixture of the panels explains"
    assert len(summary["inputs"]) == 24
    assert summary["command"] and summary["environment"] and summary["created"]


def test_a_metric_that_breaks_on_a_pair_is_told(animegen: Call, table: Path, counts: Call) -> None:
    result = animegen("ablate", table, *EIGHT[:-1], "--metric", "fragile")
    assert result.code == 6, result.err
    assert "fragile raised ValueError: too much for it" in result.err
    failures = json.loads(Path("runs/ablation/summary.json").read_text())["failures"]
    assert {failure["clip"] for failure in failures} == {"three"}
    (effects,) = json.loads(Path("runs/ablation/analysis.json").read_text())["effects"]
    assert (effects["n"], effects["dropped"][0]["unit"]) == (2, "three")


def test_what_is_decided_is_on_disk_before_anything_runs(animegen: Call, table: Path, counts: Call) -> None:
    for path in table.parent.glob("*_a.png"):
        path.unlink()
    result = animegen("ablate", table, *EIGHT)
    assert result.code == 6
    record = json.loads(Path("runs/ablation/study.json").read_text())
    assert [pair["sha256"]["first"] for pair in record["choice"]["pairs"]] == [None] * 3
    assert record["choice"]["rule"] == {"name": "sha256-rank-1", "pairs": 40, "titles": 5, "seed": 0}
    assert list(record["design"]["cells"]) == ["000", "001", "010", "011", "100", "101", "110", "111"]


def test_a_missing_file_in_the_middle_drops_its_pair_everywhere(animegen: Call, table: Path, counts: Call) -> None:
    gone = table.parent / "two_b.png"
    kept = gone.read_bytes()
    gone.unlink()
    result = animegen("ablate", table, *EIGHT, "--json")
    assert result.code == 6
    assert [failure["id"] for failure in json.loads(result.out)["failed"]] == ["two"]
    assert not list(Path("runs/ablation/clips").glob("*/*-two"))
    assert len(list(Path("runs/ablation/clips").glob("*/*"))) == 16
    assert "two_b.png does not exist" in Path("runs/ablation/failed.tsv").read_text()
    gone.write_bytes(kept)
    mended = animegen("ablate", table, *EIGHT)
    assert mended.code == 0, mended.err
    assert counts()["sample"] == 8
    assert not Path("runs/ablation/failed.tsv").exists()


def test_a_stage_that_gives_garbage(animegen: Call, table: Path, counts: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARBAGE", "20")  # the third pair; the others' first pixel is another
    result = animegen("ablate", table, *EIGHT)
    assert result.code == 6
    assert "three is left out of all configurations: interpolate" in result.err
    assert len(list(Path("runs/ablation/clips").glob("*/*/clip.mp4"))) == 16


def test_ctrl_c_and_again(animegen: Call, table: Path, counts: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = table.parent / "bomb"
    monkeypatch.setenv("CTRL_C", str(bomb))
    bomb.write_text("")
    stopped = animegen("ablate", table, *EIGHT)
    assert stopped.code == 130
    assert "--resume" in stopped.err
    assert animegen("ablate", table, *EIGHT, "--resume").code == 0
    assert counts()["sample"] == 8


def test_damaged_results_are_made_again_and_told(animegen: Call, table: Path, counts: Call) -> None:
    assert animegen("ablate", table, *EIGHT).code == 0
    whole = clips(Path("runs/ablation"))
    drawn = sorted(Path("runs/.cache").glob("??/*/000002.png"))  # frames of interpolators and upsamplers
    short, rotten = drawn[0], drawn[-1]
    short.write_bytes(short.read_bytes()[:-9])
    data = bytearray(rotten.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    rotten.write_bytes(data)
    shutil.rmtree("runs/ablation")
    first = animegen("ablate", table, *EIGHT)
    told = first.err
    if first.code:  # a right length shows only when it is decoded; the next call makes it again
        assert first.code == 6
        assert "a kept result was damaged" in told, told
        second = animegen("ablate", table, *EIGHT)
        assert second.code == 0, second.err
        told += second.err
    assert "is damaged and is made again" in told
    assert clips(Path("runs/ablation")) == whole


def test_two_processes_on_one_study(animegen: Call, table: Path, counts: Call) -> None:
    from animegen_eval.ablation.study import locked

    with locked(Path("runs/ablation")):
        result = animegen("ablate", table, *EIGHT)
        assert result.code == 5
        assert "another process is at work on runs/ablation" in result.errors[0]
        assert animegen("ablate", table, *EIGHT, "--study", "mine").code == 0
    assert animegen("ablate", table, *EIGHT).code == 0


def test_a_study_stays_what_it_is(animegen: Call, table: Path, counts: Call) -> None:
    assert animegen("ablate", table, *EIGHT).code == 0
    for change, word in (
        (("--pairs", "2"), "pairs"),
        (("--fps", "9"), "settings"),
        (("--vary", "run.seed=1,2"), "factors"),
    ):
        result = animegen("ablate", table, *EIGHT, *change)
        assert result.code == 2, change
        assert "runs/ablation holds a study of other" in result.errors[0] and word in result.errors[0]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--on", "inpaintr=black"), 2, "did you mean 'inpainter'?"),
        (("--on", "inpainter=blak"), 2, "did you mean 'black'?"),
        (("--on", "inpainter"), 2, "is not KIND=STAGE"),
        (("--on", "interpolator=counted"), 2, "--vary interpolator=crossfade,counted"),
        (("--on", "upsampler=counted"), 2, "always makes 4 frames"),
        (("--vary", "preprocessor=lab"), 2, "has one level alone, lab"),
        (("--vary", "preprocessor=lab,lab"), 2, "has the level lab twice"),
        (("--vary", "preprocesor=none,lab"), 2, "did you mean 'preprocessor'?"),
        (("--vary", "lab.clahe_clip=1,many", "--preprocessor", "lab"), 2, "not a number"),
        (("--vary", "lab.clip=1,2", "--preprocessor", "lab"), 2, "unknown option lab.clip"),
        (("--vary", "lab.clahe_clip=1,2"), 2, "changes nothing"),
        (("--on", "preprocessor=lab", "--preprocessor", "lab"), 2, "is varied, and set to"),
        (("--on", "preprocessor=lab", "--vary", "preprocessor=none,descreen"), 2, "is varied twice"),
        (("--on", "preprocessor=lab", "--only", "2"), 2, "there is no configuration 2"),
        (("--on", "preprocessor=lab", "--force"), 2, "--force has no meaning here"),
        (("--on", "preprocessor=lab", "--study", "../up"), 2, "is no name of a folder"),
        (("--on", "preprocessor=lab", "--metric", "lpipps"), 2, "no metric is named"),
    ],
)
def test_bad_designs(
    animegen: Call, table: Path, counts: Call, options: tuple[str, ...], code: int, words: str
) -> None:
    result = animegen("ablate", table, *STAGES[:4], "--frames", "4", *options)
    assert result.code == code, result.err
    assert words in result.err
    assert not counts()["sample"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 4, "no line with a pair"),
        ("id\tfirst\tlast\n", 4, "no line with a pair"),
        ("one\ta.png\tb.png\t\tmore\n", 2, "line 1 has 5 columns"),
        ("one\ta.png\tb.png\none\tb.png\ta.png\n", 2, "two pairs are called 'one'"),
        ("one\ta.png\tb.png\ntwo\tc.png\td.png\n", 6, "2 of 2 pairs failed"),
    ],
)
def test_bad_pairs(animegen: Call, place: Path, counts: Call, text: str, code: int, words: str) -> None:
    (place / "pairs.tsv").write_text(text)
    result = animegen("ablate", "pairs.tsv", *EIGHT)
    assert result.code == code, result.err
    assert words in result.err


def test_pairs_of_one_title_are_said_to_be(animegen: Call, table: Path, counts: Call) -> None:
    table.write_text(table.read_text().replace("\tB", "\tA"))
    result = animegen("ablate", table, *EIGHT[:-1], "--scores", "--metric", "ghost-ratio")
    assert result.code == 0, result.err
    assert "5 titles were wanted; there are 1: what is found holds for this one" in result.err
    effects = json.loads(Path("runs/ablation/analysis.json").read_text())["effects"]
    assert all(effect["titles"] is None for one in effects for effect in one["effects"])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_nothing_is_lost_or_made_twice(
    animegen_process: Call, animegen: Call, table: Path, counts: Call, workers: int
) -> None:
    slow = [part if part != "counted" else "slow" for part in EIGHT]
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
    assert animegen("ablate", table, *EIGHT, "--out", "whole").code == 0
    assert clips(Path("killed/ablation")) == clips(Path("whole/ablation"))


@pytest.mark.slow
def test_two_real_processes_share_what_stages_made(
    animegen_process: Call, animegen: Call, table: Path, counts: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two studies at once on one folder of results: the same clips, nothing damaged; one study takes one process."""
    held = table.parent / "held"
    held.write_text("")
    monkeypatch.setenv("HELD", str(held))  # nobody samples before all are there
    slow = [part if part != "counted" else "slow" for part in EIGHT]
    started = [animegen_process("ablate", table, *slow, "--study", name) for name in ("one", "two")]
    end = time.monotonic() + 60
    while len(list(Path("runs").glob("*/study.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    third = animegen_process("ablate", table, *slow, "--study", "one")
    _, refused = third.communicate(timeout=60)
    assert third.returncode == 5, refused
    assert "another process is at work on runs/one" in refused
    held.unlink()
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert clips(Path("runs/one")) == clips(Path("runs/two"))
    assert len(clips(Path("runs/one"))) == 3 * (4 * 4 + 4 * 7)
    done = counts()["sample"]
    assert done == 8  # what one makes the other waits for
    result = animegen("ablate", table, *slow, "--study", "three")
    assert result.code == 0, result.err
    assert "damaged" not in result.err
    assert counts()["sample"] == done


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
