"""``animegen ablate``: what configurations, calls and processes share, and what a study is kept to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
Options = tuple[str, ...]


def test_eight_configurations_cost_four_samplings_a_pair(
    animegen: Call, table: Path, counts: Call, eight: Options
) -> None:
    result = animegen("ablate", table, *eight, "--json")
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


def test_a_clip_is_that_of_a_run_of_its_own(
    animegen: Call, table: Path, counts: Call, eight: Options, stages: Options
) -> None:
    assert animegen("ablate", table, *eight).code == 0
    (ours,) = Path("runs/ablation/clips/111").glob("*-two")
    alone = ("--inpainter", "black", "--preprocessor", "brighter", "--upsampler", "crossfade", "--frames", "4")
    result = animegen("run", "two_a.png", "two_b.png", *stages, *alone, "--factor", "2", "--out", "own", "--json")
    assert result.code == 0, result.err
    own = Path(json.loads(result.out)["frames_folder"])
    assert [path.read_bytes() for path in sorted(own.glob("*.png"))] == [
        path.read_bytes() for path in sorted((ours / "frames").glob("*.png"))
    ]
    record = json.loads((ours / "run.json").read_text())
    assert record["status"] == "done"
    assert animegen("run", "--from", ours / "run.json", "--out", "again").code == 0


def test_again_makes_nothing_and_a_second_study_shares(
    animegen: Call, table: Path, counts: Call, eight: Options
) -> None:
    assert animegen("ablate", table, *eight).code == 0
    before = counts()
    again = animegen("ablate", table, *eight)
    assert again.code == 0, again.err
    assert counts() == before
    # Two of the three factors, with balloons removed throughout: half of the first study's configurations.
    other = animegen("ablate", table, *eight[2:], "--inpainter", "black", "--study", "smaller")
    assert other.code == 0, other.err
    assert counts()["sample"] == before["sample"]
    planned = animegen("ablate", table, *eight, "--dry-run")
    assert "interpolate 12 (instead of 24), 12 made before" in planned.err


def test_two_workers_give_the_same(animegen: Call, table: Path, counts: Call, eight: Options, frames_of: Call) -> None:
    assert animegen("ablate", table, *eight, "--out", "alone").code == 0
    before = counts()["sample"]
    result = animegen("ablate", table, *eight, "--out", "both", "--workers", "2")
    assert result.code == 0, result.err
    assert counts()["sample"] == 2 * before
    assert frames_of(Path("both/ablation")) == frames_of(Path("alone/ablation"))


def test_what_is_decided_is_on_disk_before_anything_runs(
    animegen: Call, table: Path, counts: Call, eight: Options
) -> None:
    for path in table.parent.glob("*_a.png"):
        path.unlink()
    result = animegen("ablate", table, *eight)
    assert result.code == 6
    record = json.loads(Path("runs/ablation/study.json").read_text())
    assert [pair["sha256"]["first"] for pair in record["choice"]["pairs"]] == [None] * 3
    assert record["choice"]["rule"] == {"name": "sha256-rank-1", "pairs": 40, "titles": 5, "seed": 0}
    assert list(record["design"]["cells"]) == ["000", "001", "010", "011", "100", "101", "110", "111"]


def test_a_study_stays_what_it_is(animegen: Call, table: Path, counts: Call, eight: Options) -> None:
    assert animegen("ablate", table, *eight).code == 0
    for change, word in (
        (("--pairs", "2"), "pairs"),
        (("--fps", "9"), "settings"),
        (("--vary", "run.seed=1,2"), "factors"),
    ):
        result = animegen("ablate", table, *eight, *change)
        assert result.code == 2, change
        assert "runs/ablation holds a study of other" in result.errors[0] and word in result.errors[0]


def test_two_processes_on_one_study(animegen: Call, table: Path, counts: Call, eight: Options) -> None:
    from animegen_eval.ablation.study import locked

    with locked(Path("runs/ablation")):
        result = animegen("ablate", table, *eight)
        assert result.code == 5
        assert "another process is at work on runs/ablation" in result.errors[0]
        assert animegen("ablate", table, *eight, "--study", "mine").code == 0
    assert animegen("ablate", table, *eight).code == 0


@pytest.mark.slow
def test_two_real_processes_share_what_stages_made(
    animegen_process: Call,
    animegen: Call,
    table: Path,
    counts: Call,
    monkeypatch: pytest.MonkeyPatch,
    eight: Options,
    frames_of: Call,
) -> None:
    """Two studies at once on one folder of results: the same clips, nothing damaged; one study takes one process."""
    held = table.parent / "held"
    held.write_text("")
    monkeypatch.setenv("HELD", str(held))  # nobody samples before all are there
    slow = [part if part != "counted" else "slow" for part in eight]
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
    assert frames_of(Path("runs/one")) == frames_of(Path("runs/two"))
    assert len(frames_of(Path("runs/one"))) == 3 * (4 * 4 + 4 * 7)
    done = counts()["sample"]
    assert done == 8  # what one makes the other waits for
    result = animegen("ablate", table, *slow, "--study", "three")
    assert result.code == 0, result.err
    assert "damaged" not in result.err
    assert counts()["sample"] == done


def test_terms_that_come_later_are_no_other_study(animegen: Call, table: Path, counts: Call, eight: Options) -> None:
    assert animegen("ablate", table, *eight).code == 0
    before = counts()
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    terms = [("licence", "source"), ("CC BY 4.0", "by A. N. Other"), ("", ""), ("CC0 1.0", "")]
    table.write_text("\n".join("\t".join((*row, *more)) for row, more in zip(rows, terms, strict=True)) + "\n")
    result = animegen("ablate", table, *eight)
    assert result.code == 0, result.err
    assert counts() == before
    record = json.loads(Path("runs/ablation/study.json").read_text())
    known = {pair["id"]: (pair.get("licence"), pair.get("source")) for pair in record["choice"]["pairs"]}
    assert known == {"one": ("CC BY 4.0", "by A. N. Other"), "two": (None, None), "three": ("CC0 1.0", None)}
