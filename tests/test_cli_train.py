"""``animegen train`` with a trainer that needs no torch: plan, record, stop, resume, and each way to use it wrongly."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SLOPE = """
    import json, os, sys, time
    from dataclasses import dataclass
    from hashlib import sha256
    from pathlib import Path
    from animegen import TrainerSpec, Weight, hookimpl, option
    from animegen.errors import InputError, InterruptedRun
    from animegen.stages import Demand
    from animegen.training.records import TrainingPlan, TrainingResult, TrainingStep

    @dataclass(frozen=True)
    class Options:
        rate: float = option(0.1, "How fast.", min=0, max=1)
        pause: float = option(0.0, "Seconds between steps.", min=0)
        fail_at: int = option(0, "Step that fails.", min=0)
        gib: int = option(1, "Memory it says it needs.", min=0)
        start: str | None = option(None, "File to start from.", file=True)

    @hookimpl
    def animegen_trainers():
        return [TrainerSpec("slope", "acme_slope:Slope", "Learns the mean of numbers.", options=Options,
                            material="a file of numbers", changeable=("pause", "fail_at"))]

    class Slope:
        def __init__(self, options, context):
            self.options, self.context = options, context

        def plan(self, material, order):
            try:
                self.numbers = [float(word) for word in material.read_text().split()]
            except ValueError as error:
                raise InputError(f"{material} holds no numbers: {error}.") from None
            need = Demand("cpu", self.options.gib * 2**30, 4 * 2**30, "numbers")
            return TrainingPlan("one number", f"{len(self.numbers)} numbers", sha256(material.read_bytes()).hexdigest(),
                                demands=(need,), hint="-o trainer.gib=1", warnings=("only one number",),
                                facts={"mean": sum(self.numbers) / len(self.numbers)})

        def __call__(self, material, out, order, tell):
            state = out / "state.json"
            done, value = json.loads(state.read_text()) if order.resume else (0, 0.0)
            goal, loss = sum(self.numbers) / len(self.numbers), None
            try:
                for step in range(done + 1, order.steps + 1):
                    if step == self.options.fail_at:
                        raise RuntimeError("it broke")
                    value += self.options.rate * (goal - value)
                    loss = abs(goal - value)
                    state.write_text(json.dumps([step, value]))
                    tell(TrainingStep(step, order.steps, loss, self.options.rate, order.steps - step))
                    time.sleep(self.options.pause)
            except KeyboardInterrupt:
                raise InterruptedRun(f"stopped after step {step}, which is saved.") from None
            (out / "value.txt").write_text(str(value))
            return TrainingResult((out / "value.txt",), order.steps, loss, use=f"-o slope.file={out / 'value.txt'}")
"""


@pytest.fixture
def slope(place: Path, install: Callable[[str, str], Path]) -> dict[str, str]:
    """A variable by which a process finds the plugin; and its material, ``numbers.txt``."""
    (place / "numbers.txt").write_text("1 2 3 6")
    return {"PYTHONPATH": str(install("acme-slope", SLOPE))}


@pytest.fixture
def train(slope: dict[str, str], finish: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: object) -> Any:
        return finish("train", "slope", "numbers.txt", "--out", "learnt", *args, env=slope)

    return call


def record(place: Path, folder: str = "learnt") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((place / folder / "train.json").read_text("utf-8"))
    return document


def test_a_training_from_its_plan_to_its_record(train: Callable[..., Any], place: Path) -> None:
    result = train("--steps", 20, "-o", "slope.rate=0.5", "--seed", 9)
    assert result.code == 0
    assert result.out == "learnt/value.txt\n"
    lines = result.err.splitlines()
    assert lines[0].startswith("plan") and "slope 0.1: one number" in lines[0]
    assert lines[1:3] == ["from   4 numbers", "steps  20; seed 9; auto, auto"]
    assert lines[3].startswith("need   1.0 GiB on cpu (numbers)") and lines[4] == "note   only one number"
    assert any(line.startswith("[20/20] loss 0.0000") for line in lines)
    assert lines[-1] == "use    animegen run FIRST LAST -o slope.file=learnt/value.txt"
    document = record(place)
    assert document["status"] == "done" and document["step"] == 20 and document["loss"] < 1e-4
    assert document["options"]["rate"] == {"value": 0.5, "source": "command line"}
    assert document["train"]["seed"] == {"value": 9, "source": "command line"}
    assert document["facts"] == {"mean": 3.0} and document["outputs"] == ["value.txt"]
    assert document["material"]["found"] == "4 numbers" and len(document["material"]["sha256"]) == 64
    assert {"animegen", "python"} <= document["environment"].keys()
    rows = list(csv.reader((place / "learnt" / "loss.csv").open()))
    assert rows[0] == ["step", "loss", "learning_rate"] and [row[0] for row in rows[1:]] == list(map(str, range(1, 21)))
    assert rows[1][1:] == ["1.5", "0.5"]


def test_dry_run_json_and_settings(
    train: Callable[..., Any], finish: Callable[..., Any], slope: dict[str, str], place: Path
) -> None:
    dry = train("--dry-run", "--json")
    assert dry.code == 0 and json.loads(dry.out)["status"] == "planned"
    assert not (place / "learnt").exists()
    (place / "animegen.toml").write_text("[train]\nsteps = 7\n[trainer]\nrate = 0.25\n")
    document = json.loads(train("--json").out)
    assert (document["status"], document["step"]) == ("done", 7)
    assert document["files"] == ["learnt/value.txt"] and document["train_json"] == "learnt/train.json"
    assert record(place)["options"]["rate"] == {"value": 0.25, "source": "animegen.toml"}
    assert finish("run", "--dry-run", env=slope).code == 0  # a settings file with these tables is a run's too
    events = train("--force", "--progress", "json").err.splitlines()
    steps = [json.loads(line) for line in events if '"step"' in line]
    assert steps[-1]["step"] == steps[-1]["steps"] == 7 and steps[-1]["seconds_left"] == 0


def test_ctrl_c_says_how_to_go_on_and_going_on_gives_the_same(
    train: Callable[..., Any],
    animegen_process: Callable[..., subprocess.Popen[str]],
    slope: dict[str, str],
    place: Path,
) -> None:
    command = ("train", "slope", "numbers.txt", "--out", "learnt", "--steps", "40", "-o", "slope.pause=0.05")
    process = animegen_process(*command, env=slope)
    losses = place / "learnt" / "loss.csv"
    deadline = time.monotonic() + 60
    while not (losses.is_file() and losses.read_text().count("\n") > 4):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error: stopped after step" in err and f"animegen {' '.join(command)} --resume" in err
    stopped = record(place)
    assert stopped["status"] == "interrupted" and 3 <= stopped["step"] < 40
    again = train("--steps", 40, "--resume")
    assert again.code == 0 and f"steps  40, {stopped['step']} of them done" in again.err
    rows = [row[0] for row in csv.reader(losses.open())][1:]
    assert rows == list(map(str, range(1, 41)))
    whole = train("--steps", 40, "--out", "whole")
    assert whole.code == 0
    assert (place / "whole" / "value.txt").read_text() == (place / "learnt" / "value.txt").read_text()
    assert record(place)["seconds"] > stopped["seconds"] > 0
    finished = train("--steps", 40, "--resume")
    assert finished.code == 0 and record(place)["loss"] == record(place, "whole")["loss"]
    assert train("--steps", 50, "--resume").code == 0 and record(place)["step"] == 50


def test_another_training_is_not_taken_up(train: Callable[..., Any], place: Path) -> None:
    assert train("--steps", 5).code == 0
    plain = train("--steps", 5)
    assert plain.code == 2 and "learnt holds a training already (5 of 5 steps, done)" in plain.err
    assert "--resume goes on with it; --force begins anew" in plain.err
    for changed, message in (
        (("-o", "slope.rate=0.2"), "option rate was 0.1 and is 0.2"),
        (("--seed", "1"), "seed was 123 and is 1"),
    ):
        result = train("--steps", 9, "--resume", *changed)
        assert result.code == 2 and message in result.err
    assert train("--steps", 6, "--resume", "-o", "slope.pause=0.001").code == 0  # how fast it goes is no other training
    (place / "numbers.txt").write_text("1 2 3 7")
    result = train("--steps", 9, "--resume")
    assert result.code == 2 and "the material changed" in result.err
    assert train("--steps", 3, "--force").code == 0 and record(place)["step"] == 3


def test_a_trainer_that_fails_is_blamed_and_recorded(train: Callable[..., Any], place: Path) -> None:
    result = train("--steps", 5, "-o", "slope.fail_at=3")
    assert result.code == 1 and "acme-slope:slope (trainer) raised RuntimeError: it broke" in result.err
    assert (record(place)["status"], record(place)["step"]) == ("failed", 2)
    assert train("--steps", 5, "--resume").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("slop", "numbers.txt", "--out", "x"), 2, "did you mean 'slope'?"),
        (("slope", "none.txt", "--out", "x"), 4, "none.txt is not here."),
        (("slope", "words.txt", "--out", "x"), 4, "words.txt holds no numbers"),
        (("slope", "numbers.txt"), 2, "--out"),
        (("slope", "numbers.txt", "--out", "x", "--resume", "--force"), 2, "leave one of them out"),
        (("slope", "numbers.txt", "--out", "x", "--steps", "0"), 2, "train.steps (from command line) is 0"),
        (("slope", "numbers.txt", "--out", "x", "-o", "slope.rat=1"), 2, "did you mean 'rate'?"),
        (("slope", "numbers.txt", "--out", "x", "-o", "flow.levels=3"), 2, "flow.levels=3 has no effect"),
        (("slope", "numbers.txt", "--out", "x", "-o", "slope.start=gone.bin"), 4, "gone.bin"),
        (("slope", "numbers.txt", "--out", "x", "-o", "slope.gib=9"), 5, "needs 9.0 GiB on cpu to train"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    finish: Callable[..., Any],
    slope: dict[str, str],
    place: Path,
) -> None:
    (place / "words.txt").write_text("one two")
    result = finish("train", *arguments, env=slope)
    assert result.code == code, result.err
    assert message in result.err
    assert not (place / "x").exists() and result.out == ""


def test_trainers_are_listed_and_shown(finish: Callable[..., Any], slope: dict[str, str]) -> None:
    listed = finish("plugins", "list", "--kind", "trainer", "--json", env=slope)
    rows = {row["name"]: row["stages"] for row in json.loads(listed.out)}
    assert [stage["kind"] for stage in rows["acme-slope"]] == ["trainer"]
    shown = finish("plugins", "show", "slope", env=slope).out
    assert "slope  (trainer of acme-slope 0.1)" in shown
    assert "from a file of numbers: animegen train slope MATERIAL --out DIR" in shown
    assert "-o trainer.rate=0.1" in shown
    checked = finish("plugins", "check", "acme-slope", env=slope)
    assert checked.code == 0 and "acme_slope:Slope can be imported" in checked.out


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("plain", "[2/4] validation: loss 0.25000, lpips 0.12500"),
        ("json", '{"event": "validation", "step": 2, "steps": 4, "loss": 0.25, "lpips": 0.125}'),
    ],
)
def test_a_validation_is_told_with_its_step(style: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    from animegen.training.records import TrainingStep
    from animegen_cli.console import Console
    from animegen_cli.training_progress import TrainingProgress

    progress = TrainingProgress(Console(progress=style))
    progress(TrainingStep(2, 4, 0.5, 1e-3, 3.0, {"loss": 0.25, "lpips": 0.125}))
    assert capsys.readouterr().err.splitlines()[0] == line
    progress(TrainingStep(3, 4, 0.5, 1e-3, 3.0))
    assert "validation" not in capsys.readouterr().err
