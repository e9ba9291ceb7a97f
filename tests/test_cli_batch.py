"""``animegen batch``: many pairs, some of them bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.imageio import write_image

Call = Callable[..., Any]


@pytest.fixture
def table(pair: tuple[Path, Path], picture: Any) -> Path:
    """Three pairs; the panels of the second are not there."""
    write_image("c.png", picture(64, 48, 20))
    path = Path("pairs.tsv")
    path.write_text("id\tfirst\tlast\tprompt\none\ta.png\tb.png\thello\ntwo\tx.png\ty.png\t\nthree\tb.png\tc.png\t\n")
    return path


def test_a_bad_pair_is_told_and_the_rest_is_made(animegen: Call, table: Path, quick: Any) -> None:
    result = animegen("batch", table, *quick)
    assert result.code == 6
    assert result.errors == ["error: 2 done, 1 failed (runs/failed.tsv)."]
    clips = [Path(line) for line in result.out.splitlines()]
    assert [path.is_file() for path in clips] == [True, True]
    assert [path.parent.name.split("_")[1] for path in clips] == ["one", "three"]
    assert "x.png does not exist" in result.err
    failed = Path("runs/failed.tsv").read_text().splitlines()
    assert len(failed) == 2
    assert failed[1].startswith("two\t")
    assert "x.png does not exist" in failed[1]


def test_the_table_of_failures_is_a_table_of_pairs(animegen: Call, table: Path, quick: Any, picture: Any) -> None:
    animegen("batch", table, *quick)
    for name in ("x.png", "y.png"):
        write_image(name, picture(64, 48, 3))
    mended = animegen("batch", "runs/failed.tsv", *quick)
    assert mended.code == 0, mended.err
    assert len(mended.out.splitlines()) == 1
    assert not Path("runs/failed.tsv").exists()
    whole = animegen("batch", table, *quick)
    assert (whole.code, len(whole.out.splitlines())) == (0, 3)
    assert "0 done, 3 skipped" in whole.err
    anew = animegen("batch", table, *quick, "--force")
    assert "3 done" in anew.err


def test_a_table_may_say_whose_panels_they_are(animegen: Call, pair: Any, quick: Any) -> None:
    rows = ("id\tfirst\tlast\tlicense\tattribution\tremark", "one\ta.png\tb.png\tCC BY 4.0\tby A. N. Other\tmine")
    Path("pairs.tsv").write_text("\n".join((*rows, "two\ta.png\tgone.png\tCC0 1.0\t\t")) + "\n")
    result = animegen("batch", "pairs.tsv", *quick)
    assert (result.code, len(result.out.splitlines())) == (6, 1)
    header, failed = (line.split("\t") for line in Path("runs/failed.tsv").read_text().splitlines())
    told = dict(zip(header, failed, strict=True))
    assert (told["id"], told["licence"], told["source"]) == ("two", "CC0 1.0", "")


@pytest.mark.parametrize("jobs", [1, 3])
def test_json_has_a_row_for_each_pair(animegen: Call, table: Path, quick: Any, jobs: int) -> None:
    result = animegen("batch", table, *quick, "--json", "--jobs", jobs)
    document = json.loads(result.out)
    counts = {name: document[name] for name in ("done", "skipped", "failed", "not_begun")}
    assert counts == {"done": 2, "skipped": 0, "failed": 1, "not_begun": 0}
    rows = {row["id"]: row for row in document["pairs"]}
    assert rows["two"]["exit_code"] == 4
    assert Path(rows["one"]["clip"]).is_file()
    assert document["status"] == "partial"
    record = json.loads(Path(rows["one"]["run_json"]).read_text())
    assert record["run"]["prompt"] == {"value": "hello", "source": "pair"}


def test_a_clip_of_a_batch_is_made_again_from_its_record(animegen: Call, table: Path, quick: Any) -> None:
    clip = Path(animegen("batch", table, *quick, "--limit", 1).out.strip())
    again = animegen("run", "--from", clip.parent, "--out", "again")
    assert Path(again.out.strip()).read_bytes() == clip.read_bytes()
    one, two = (json.loads((path.parent / "run.json").read_text()) for path in (clip, Path(again.out.strip())))
    assert one["id"] == two["id"]


def test_stop_ends_at_the_first_failure(animegen: Call, table: Path, quick: Any) -> None:
    result = animegen("batch", table, *quick, "--stop")
    assert result.code == 6
    assert "1 done, 1 failed (runs/failed.tsv), 1 not begun" in result.errors[0]


def test_dry_run_lists(animegen: Call, table: Path, quick: Any) -> None:
    result = animegen("batch", table, *quick, "--dry-run")
    assert (result.code, len(result.out.splitlines())) == (0, 4)
    assert not Path("runs").exists()


def test_a_folder_of_named_pairs(animegen: Call, place: Path, picture: Any, quick: Any) -> None:
    for name in ("02_x_a.png", "02_x_b.png", "10_y_a.jpg", "10_y_b.jpg", "other.png"):
        write_image(place / "panels" / name, picture(40, 30, 2))
    rows = json.loads(animegen("batch", "panels", *quick, "--dry-run", "--json").out)["pairs"]
    assert [row["id"] for row in rows] == ["02_x", "10_y"]


def test_any_folder_is_its_pictures_one_after_the_other(animegen: Call, place: Path, picture: Any, quick: Any) -> None:
    for name in ("p10.png", "p2.png", "p1.png", "notes.txt"):
        path = place / "panels" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x") if name.endswith("txt") else write_image(path, picture(40, 30, 2))
    rows = json.loads(animegen("batch", "panels", *quick, "--dry-run", "--json").out)["pairs"]
    assert [row["id"] for row in rows] == ["p1-p2", "p2-p10"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 4, "no line with a pair"),
        ("one\n", 2, "line 1 has 1 columns"),
        ("# a remark\n\none\ta.png\t\tprompt\n", 2, "line 3"),
        ("a\tb\tc\td\te\n", 2, "line 1 has 5 columns"),
        ("id\tfrist\tlast\n", 2, "did you mean 'first'"),
        ("first\tlast\na.png\n", 2, "line 2"),
        ("\xff\xfe", 4, "UTF-8"),
    ],
)
def test_tables_that_are_none(animegen: Call, place: Path, text: str, code: int, words: str) -> None:
    Path("pairs.tsv").write_bytes(text.encode("latin-1"))
    result = animegen("batch", "pairs.tsv")
    assert (result.code, len(result.errors)) == (code, 1), result.err
    assert words in result.err
    assert not Path("runs").exists()


def test_a_table_or_folder_that_is_not_there(animegen: Call, place: Path) -> None:
    (place / "empty").mkdir()
    for source, words in (("none.tsv", "none.tsv"), ("empty", "fewer than two")):
        result = animegen("batch", source)
        assert (result.code, len(result.errors)) == (4, 1)
        assert words in result.err


def test_a_mistake_in_the_options_stops_before_the_first_pair(animegen: Call, table: Path) -> None:
    result = animegen("batch", table, "--interpolator", "flwo")
    assert (result.code, len(result.errors)) == (2, 1)
    assert not Path("runs").exists()


def test_progress_as_json_lines(animegen: Call, table: Path, quick: Any) -> None:
    result = animegen("batch", table, *quick, "--progress", "json")
    events = [json.loads(line) for line in result.err.splitlines()]
    outcomes = [event for event in events if event["event"] == "outcome"]
    assert [event["status"] for event in outcomes] == ["done", "failed", "done"]
    assert events[-1]["event"] == "error"
