"""``animegen data`` with a maker that needs no torch: plan, record, kills, going on, and each way to use it wrongly."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TALLY = """
    import time
    from dataclasses import dataclass
    from hashlib import sha256
    from animegen import DatasetSpec, hookimpl, option
    from animegen.resumable.journal import Journal
    from animegen.datasets.records import DataPlan, DataResult
    from animegen.resumable.workers import each
    from animegen.errors import InputError
    from animegen.stages import Demand

    @dataclass(frozen=True)
    class Options:
        base: int = option(10, "Of the numbers.", min=2, max=36)
        pause: float = option(0.0, "Seconds for each.", min=0)
        fail_at: int = option(-1, "Number that fails.")
        gib: int = option(1, "Memory it says it needs.", min=0)

    @hookimpl
    def animegen_datasets():
        return [DatasetSpec("tally", "acme_tally:Tally", "Squares of numbers.", options=Options,
                            material="files of numbers", changeable=("pause", "fail_at", "gib"))]

    class Squares:
        def __init__(self, options, out, job, jobs):
            self.options, self.out = options, out

        def __call__(self, piece):
            path, numbers = piece
            with Journal(self.out / "work" / f"{path.stem}.jsonl") as journal:
                if journal.finished:
                    return journal.rows
                for number in numbers[len(journal.rows):]:
                    if number == self.options.fail_at:
                        raise RuntimeError("it broke")
                    with (self.out / "worked.txt").open("a") as file:
                        file.write(f"{number}\\n")
                    time.sleep(self.options.pause)
                    journal.add({"number": number, "square": number**2})
                journal.finish()
                return journal.rows

    class Tally:
        def __init__(self, options, context):
            self.options = options

        def plan(self, material, order):
            try:
                self.numbers = {path: [int(word, self.options.base) for word in path.read_text().split()]
                                for path in material}
            except ValueError as error:
                raise InputError(f"no number: {error}.") from None
            digests = {str(path): sha256(path.read_bytes()).hexdigest() for path in material}
            need = Demand("cpu", self.options.gib * 2**30, 4 * 2**30, "numbers")
            return DataPlan("squares", f"{sum(map(len, self.numbers.values()))} numbers", digests, demands=(need,),
                            hint="-o dataset.gib=1", warnings=("only squares",))

        def __call__(self, material, out, order, reporter):
            reporter.started(1, 1, "square", "all of them")
            rows = []
            pieces = list(self.numbers.items())
            for done, (_, found) in enumerate(each(pieces, Squares, (self.options, out), order.jobs)):
                rows += found
                reporter.progress(done + 1, len(pieces), "files")
            reporter.finished("square", f"{len(rows)} squares", 0.0, False)
            table = out / "squares.txt"
            table.write_text("\\n".join(str(row["square"]) for row in sorted(rows, key=lambda row: row["number"])))
            use = f"train roots {out} --out DIR"
            return DataResult((table,), f"{len(rows)} squares", use=use, facts={"n": len(rows)})
"""


@pytest.fixture
def tally(place: Path, install: Callable[[str, str], Path]) -> dict[str, str]:
    """A variable by which a process finds the plugin; and its material."""
    (place / "a.txt").write_text("1 2 3")
    (place / "b.txt").write_text(" ".join(map(str, range(4, 40))))
    return {"PYTHONPATH": str(install("acme-tally", TALLY))}


@pytest.fixture
def data(tally: dict[str, str], finish: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: object, material: tuple[str, ...] = ("a.txt", "b.txt")) -> Any:
        return finish("data", "tally", *material, "--out", "made", *args, env=tally)

    return call


def record(place: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((place / "made" / "data.json").read_text("utf-8"))
    return document


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_dataset_from_its_plan_to_its_record(data: Callable[..., Any], place: Path, jobs: int) -> None:
    result = data("--jobs", jobs)
    assert result.code == 0, result.err
    assert result.out == "made/squares.txt\n"
    lines = result.err.splitlines()
    assert lines[0] == "plan   tally 0.1: squares" and lines[1] == "from   39 numbers"
    assert lines[2] == f"work   {jobs} process{'es' if jobs > 1 else ''}; auto, auto"
    assert lines[3].startswith("need   1.0 GiB on cpu (numbers)") and lines[4] == "note   only squares"
    assert lines[-2:] == [
        "done   made/squares.txt   39 squares",
        "use    animegen train roots made --out DIR",
    ]
    document = record(place)
    assert document["status"] == "done" and document["facts"] == {"n": 39} and document["outputs"] == ["squares.txt"]
    assert set(document["material"]) == {"a.txt", "b.txt"} and document["data"]["jobs"]["value"] == jobs
    assert (place / "made" / "squares.txt").read_text().split()[-1] == str(39**2)


def test_dry_run_json_and_settings(data: Callable[..., Any], place: Path) -> None:
    dry = data("--dry-run", "--json")
    assert dry.code == 0 and json.loads(dry.out)["status"] == "planned"
    assert not (place / "made").exists()
    (place / "animegen.toml").write_text("[data]\njobs = 1\n[dataset]\nbase = 16\n")
    document = json.loads(data("--json").out)
    assert (document["status"], document["facts"]) == ("done", {"n": 39})
    assert record(place)["options"]["base"] == {"value": 16, "source": "animegen.toml"}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_called_again_nothing_is_worked_out_twice(
    data: Callable[..., Any],
    animegen_process: Callable[..., subprocess.Popen[str]],
    tally: dict[str, str],
    place: Path,
    how: signal.Signals,
    jobs: int,
) -> None:
    command = ("data", "tally", "a.txt", "b.txt", "--out", "made", "--jobs", str(jobs), "-o", "tally.pause=0.05")
    process = animegen_process(*command, env=tally)
    worked = place / "made" / "worked.txt"
    deadline = time.monotonic() + 60
    while not (worked.is_file() and worked.read_text().count("\n") > 8):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how is signal.SIGINT:
        assert process.returncode == 130 and record(place)["status"] == "interrupted"
        assert "error: stopped; what is finished is kept." in err and "the same command goes on" in err
    else:
        time.sleep(1.0)  # its processes end by themselves
    before = worked.read_text().split()
    assert len(before) < 39
    again = data("--jobs", jobs)
    assert again.code == 0, again.err
    numbers = worked.read_text().split()
    # What was being worked out at the very moment is begun anew: one number for each process.
    assert len(numbers) - len(set(numbers)) <= jobs
    assert (place / "made" / "squares.txt").read_text().split() == [str(n**2) for n in range(1, 40)]
    assert data().code == 0 and worked.read_text().split() == numbers


def test_two_at_once_do_not_work_on_one_folder(
    data: Callable[..., Any], animegen_process: Callable[..., subprocess.Popen[str]], tally: dict[str, str], place: Path
) -> None:
    process = animegen_process("data", "tally", "b.txt", "--out", "made", "-o", "tally.pause=0.3", env=tally)
    deadline = time.monotonic() + 60
    while not (place / "made" / "worked.txt").is_file():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    other = data("-o", "tally.pause=0.3")
    assert other.code == 5 and "another process is at work on made" in other.err
    process.kill()
    process.wait()
    assert data().code == 0


def test_more_material_is_added_and_other_options_are_refused(data: Callable[..., Any], place: Path) -> None:
    assert data(material=("a.txt",)).code == 0
    assert data().code == 0
    assert (place / "made" / "worked.txt").read_text().split()[:3] == ["1", "2", "3"]
    assert record(place)["facts"] == {"n": 39}
    refused = data("-o", "tally.base=16")
    assert refused.code == 2 and "made was made otherwise: option base was 10 and is 16" in refused.err
    assert data("-o", "tally.pause=0.001").code == 0
    assert data("-o", "tally.base=16", "--force").code == 0
    assert (place / "made" / "squares.txt").read_text().split()[-1] == str(0x39**2)


def test_a_maker_that_fails_is_blamed_and_recorded(data: Callable[..., Any], place: Path) -> None:
    for jobs in (1, 2):
        result = data("-o", "tally.fail_at=20", "--jobs", jobs)
        assert result.code == 1 and "acme-tally:tally (dataset) raised RuntimeError: it broke" in result.err
        assert record(place)["status"] == "failed"
    assert data().code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("tall", "a.txt", "--out", "x"), 2, "did you mean 'tally'?"),
        (("tally", "none.txt", "--out", "x"), 4, "none.txt is not here."),
        (("tally", "words.txt", "--out", "x"), 4, "no number"),
        (("tally", "a.txt"), 2, "--out"),
        (("tally", "--out", "x"), 2, "MATERIAL"),
        (("tally", "a.txt", "--out", "other"), 2, "other holds something else than a dataset."),
        (("tally", "a.txt", "--out", "x", "--jobs", "0"), 2, "data.jobs (from command line) is 0"),
        (("tally", "a.txt", "--out", "x", "-o", "tally.bas=1"), 2, "did you mean 'base'?"),
        (("tally", "a.txt", "--out", "x", "-o", "flow.levels=3"), 2, "flow.levels=3 has no effect"),
        (("tally", "a.txt", "--out", "x", "-o", "tally.gib=9"), 5, "needs 9.0 GiB on cpu"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    finish: Callable[..., Any],
    tally: dict[str, str],
    place: Path,
) -> None:
    (place / "words.txt").write_text("one two")
    (place / "other").mkdir()
    (place / "other" / "mine.txt").write_text("mine")
    result = finish("data", *arguments, env=tally)
    assert result.code == code, result.err
    assert message in result.err
    assert not (place / "x").exists() and result.out == ""


def test_datasets_are_listed_and_shown(finish: Callable[..., Any], tally: dict[str, str]) -> None:
    listed = finish("plugins", "list", "--kind", "dataset", "--json", env=tally)
    rows = {row["name"]: row["stages"] for row in json.loads(listed.out)}
    assert [stage["kind"] for stage in rows["acme-tally"]] == ["dataset"]
    shown = finish("plugins", "show", "tally", env=tally).out
    assert "tally  (dataset of acme-tally 0.1)" in shown
    assert "from files of numbers: animegen data tally MATERIAL... --out DIR" in shown
    assert "-o dataset.base=10" in shown
    checked = finish("plugins", "check", "acme-tally", env=tally)
    assert checked.code == 0 and "acme_tally:Tally can be imported" in checked.out


def test_files_of_trainers_and_datasets_can_be_fetched() -> None:
    from animegen import DatasetSpec, TrainerSpec, Weight, hookimpl
    from animegen.registry import Registry
    from animegen_cli.environment import known

    files = [Weight(f"{name}.pt", ("https://example.org/x",), "MIT") for name in ("one", "two")]

    class Plugin:
        @staticmethod
        @hookimpl
        def animegen_trainers() -> list[TrainerSpec]:
            return [TrainerSpec("a", "m:A", "Trains.", weights=(files[0],))]

        @staticmethod
        @hookimpl
        def animegen_datasets() -> list[DatasetSpec]:
            return [DatasetSpec("b", "m:B", "Makes.", weights=tuple(files))]

    found = {file.name: file.stages for file in known(Registry([("tiny", Plugin())]))}
    assert found == {"tiny/one.pt": ("a", "b"), "tiny/two.pt": ("b",)}
