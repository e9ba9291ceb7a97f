"""The training loop: what moves, and that stopping it anywhere leaves no trace."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from animegen.errors import InputError, InterruptedRun, MissingError, ResourceError, UsageError
from animegen.training.records import TrainingStep
from animegen_torch.training import machine, saves
from animegen_torch.training.loop import LossError, derived_seed
from animegen_torch.training.options import LoopOptions
from animegen_torch.training.rates import factor

TOY = Path(__file__).with_name("training_toy.py")


@pytest.fixture(scope="module")
def toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("training_toy", TOY)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_toy"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same(a: Any, b: Any) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_what_is_frozen_stays_bit_for_bit_and_the_loss_falls(toy: ModuleType, tmp_path: Path) -> None:
    task, steps = toy.Toy(dropout=0.0), []
    frozen = {name: value.clone() for name, value in task.module.frozen.named_parameters()}
    learnt = toy.run(tmp_path, 60, task=task, tell=steps.append, options=replace(toy.OPTIONS, schedule="constant"))
    assert same(frozen, dict(task.module.frozen.named_parameters()))
    assert set(learnt.trained) == {"published.out.weight", "published.out.bias"}
    assert not torch.equal(learnt.trained["published.out.weight"], toy.Toy().module.out.weight)
    assert [step.step for step in steps] == list(range(1, 61))
    assert steps[-1].loss < 0.2 * steps[0].loss
    assert steps[-1].seconds_left == 0 < steps[0].seconds_left
    assert learnt.step == 60 and learnt.loss == pytest.approx(sum(step.loss for step in steps) / 60)


@pytest.mark.parametrize("stop_at", [1, 4, 6])
def test_ctrl_c_saves_and_resume_gives_the_same_parameters(toy: ModuleType, tmp_path: Path, stop_at: int) -> None:
    whole = toy.run(tmp_path / "whole", 10)

    def stop(step: TrainingStep) -> None:
        if step.step == stop_at - 1:
            os.kill(os.getpid(), signal.SIGINT)

    if stop_at == 1:  # before anything: nothing to go on from
        again = toy.run(tmp_path / "cut", 10, resume=True)
    else:
        with pytest.raises(InterruptedRun, match=f"after step {stop_at} of 10"):
            toy.run(tmp_path / "cut", 10, tell=stop)
        told: list[TrainingStep] = []
        again = toy.run(tmp_path / "cut", 10, resume=True, tell=told.append)
        assert [step.step for step in told] == list(range(stop_at + 1, 11))
    assert same(whole.trained, again.trained)
    assert same(whole.average, again.average)


def test_a_second_ctrl_c_ends_it_at_once(toy: ModuleType, tmp_path: Path) -> None:
    class Slow(toy.Toy):  # type: ignore[misc,name-defined]
        def sample(self, number: int) -> Any:
            if number == 6:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
            return super().sample(number)

    with pytest.raises(KeyboardInterrupt):
        toy.run(tmp_path, 10, task=Slow(), options=replace(toy.OPTIONS, workers=0))


def start(*arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(TOY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


def test_a_killed_process_goes_on_from_its_last_save(toy: ModuleType, tmp_path: Path) -> None:
    killed = start(str(tmp_path), "10", "7")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in sorted((tmp_path / "saves").iterdir())] == ["00000004"]
    (tmp_path / "saves" / ".00000008.abcd.part").mkdir()  # as a kill while saving leaves it
    told: list[TrainingStep] = []
    again = toy.run(tmp_path, 10, resume=True, tell=told.append)
    whole = toy.run(tmp_path / "whole", 10)
    assert told[0].step == 5
    assert same(whole.trained, again.trained) and same(whole.average, again.average)
    assert not list((tmp_path / "saves").glob(".*"))


@pytest.mark.slow
def test_two_processes_learn_what_one_does_that_adds_up_two_batches(toy: ModuleType, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    two = start(str(tmp_path / "two"), "6", "-1", json.dumps({"dropout": 0.0}), launcher=launcher)
    assert two.returncode == 0, two.stderr
    trained, average = torch.load(tmp_path / "two" / "learnt.pt")
    options = replace(toy.OPTIONS, accumulate=2)
    one = toy.run(tmp_path / "one", 6, options=options, task=toy.Toy(dropout=0.0))
    for name, tensor in one.trained.items():
        torch.testing.assert_close(trained[name], tensor, atol=1e-7, rtol=1e-6)
        torch.testing.assert_close(average[name], one.average[name], atol=1e-7, rtol=1e-6)


def test_added_up_batches_equal_a_large_one(toy: ModuleType, tmp_path: Path) -> None:
    options = replace(toy.OPTIONS, batch=6)
    large = toy.run(tmp_path / "large", 5, options=options, task=toy.Toy(dropout=0.0))
    options = replace(toy.OPTIONS, batch=2, accumulate=3)
    added = toy.run(tmp_path / "added", 5, options=options, task=toy.Toy(dropout=0.0))
    for name, tensor in large.trained.items():
        torch.testing.assert_close(added.trained[name], tensor, atol=1e-6, rtol=1e-5)


def test_the_average_is_what_its_formula_says(toy: ModuleType, tmp_path: Path) -> None:
    task = toy.Toy()
    average = {name: value.detach().double() for name, value in task.module.out.named_parameters()}

    def follow(step: TrainingStep) -> None:
        decay = min(0.9, (1 + step.step) / (10 + step.step))
        for name, value in task.module.out.named_parameters():
            average[name] = decay * average[name] + (1 - decay) * value.detach().double()

    learnt = toy.run(tmp_path, 9, task=task, tell=follow)
    for name, value in average.items():
        torch.testing.assert_close(learnt.average[f"published.out.{name}"].double(), value, atol=1e-6, rtol=1e-6)
    assert not same(learnt.average, learnt.trained)
    assert toy.run(tmp_path / "none", 2, options=replace(toy.OPTIONS, ema=0.0)).average == {}


def test_seeds_and_threads(toy: ModuleType, tmp_path: Path) -> None:
    base = toy.run(tmp_path / "a", 4)
    threads = toy.run(tmp_path / "b", 4, options=replace(toy.OPTIONS, workers=3))
    alone = toy.run(tmp_path / "c", 4, options=replace(toy.OPTIONS, workers=0))
    other = toy.run(tmp_path / "d", 4, seed=8)
    assert same(base.trained, threads.trained) and same(base.trained, alone.trained)
    assert not same(base.trained, other.trained)
    assert len({derived_seed(7, block) for block in range(1000)}) == 1000


def test_samples_are_read_in_order_and_not_far_ahead(toy: ModuleType, tmp_path: Path) -> None:
    task = toy.Toy()
    toy.run(tmp_path, 3, task=task, options=replace(toy.OPTIONS, workers=0))
    assert task.asked == list(range(6))
    ahead, task = 0, toy.Toy()

    def look(step: TrainingStep) -> None:
        nonlocal ahead
        ahead = max(ahead, len(task.asked) - 2 * step.step)

    toy.run(tmp_path / "threads", 20, task=task, tell=look, options=replace(toy.OPTIONS, workers=3))
    assert ahead <= 2 + 3


@pytest.mark.parametrize(("bad", "step"), [(0, 1), (5, 3)])
def test_a_loss_that_is_no_number_stops_it_with_its_step(toy: ModuleType, tmp_path: Path, bad: int, step: int) -> None:
    options = replace(toy.OPTIONS, save_every=1)
    with pytest.raises(LossError, match=f"of step {step} of training is no finite number") as caught:
        toy.run(tmp_path, 10, task=toy.Toy(bad=bad), options=options)
    assert "learning_rate" in caught.value.hints[0]
    last = saves.last(tmp_path)
    assert (last.step if last else 0) == step - 1


def test_only_the_last_saves_are_kept(toy: ModuleType, tmp_path: Path) -> None:
    toy.run(tmp_path, 11, options=replace(toy.OPTIONS, save_every=2, keep=3))
    assert sorted(path.name for path in (tmp_path / "saves").iterdir()) == ["00000008", "00000010", "00000011"]
    toy.run(tmp_path, 2)  # not resumed: begins anew
    assert [path.name for path in (tmp_path / "saves").iterdir()] == ["00000002"]


def test_a_finished_training_is_not_repeated_and_may_be_made_longer(toy: ModuleType, tmp_path: Path) -> None:
    options = replace(toy.OPTIONS, schedule="constant")
    short = toy.run(tmp_path, 5, options=options)
    told: list[TrainingStep] = []
    again = toy.run(tmp_path, 5, options=options, resume=True, tell=told.append)
    assert not told and same(short.trained, again.trained)
    longer = toy.run(tmp_path, 8, options=options, resume=True)
    assert same(longer.trained, toy.run(tmp_path / "whole", 8, options=options).trained)


def test_damaged_saves_are_said_and_disks_that_fill_up(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.run(tmp_path, 8)
    file = tmp_path / "saves" / "00000008" / "trained.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-7])
    with pytest.raises(InputError, match="00000008 is damaged") as caught:
        toy.run(tmp_path, 10, resume=True)
    assert "00000004" in caught.value.hints[0]
    file.write_bytes(whole)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saves, "save_file", full)
    with pytest.raises(ResourceError, match="No space left"):
        toy.run(tmp_path, 12, resume=True)
    names = sorted(path.name for path in (tmp_path / "saves").iterdir())
    assert names == ["00000004", "00000008"]


def test_tensorboard_gets_every_step(toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told: list[TrainingStep] = []
    toy.run(tmp_path, 5, options=replace(toy.OPTIONS, tensorboard=True), tell=told.append)
    folder = next(path.parent for path in tmp_path.rglob("events.out.tfevents*"))
    events = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([step.loss for step in told])
    monkeypatch.setattr(machine, "is_installed", lambda name: False)
    with pytest.raises(MissingError, match="tensorboard is not installed") as caught:
        toy.run(tmp_path / "b", 1, options=replace(toy.OPTIONS, tensorboard=True))
    assert "animegen-torch[train]" in caught.value.hints[0]


def test_rates() -> None:
    options = LoopOptions(warmup=3, schedule="linear")
    assert [factor(options, step, 7) for step in range(7)] == pytest.approx([0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])
    cosine = replace(options, schedule="cosine")
    assert [factor(cosine, step, 7) for step in (3, 5)] == pytest.approx([1, 0.5])
    assert {factor(LoopOptions(), step, 7) for step in range(7)} == {1.0}
    assert factor(replace(cosine, warmup=9), 6, 7) == pytest.approx(0.7)


def test_number_formats_and_devices() -> None:
    cpu = torch.device("cpu")
    assert machine.training_dtype("bfloat16", cpu, stage="toy") == torch.bfloat16
    with pytest.raises(UsageError, match="does not compute in float16"):
        machine.training_dtype("float16", cpu, stage="toy")
    assert machine.training_device(("cpu",), stage="toy") == cpu
    assert machine.launch(("cpu", "cpu"))[-2] == "2"
    command = machine.launch(("cpu",))
    assert command[0] == sys.executable and command[-1] == "-m" and command[-2] == "1"
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="cuda:1"):
            machine.launch(("cuda:1", "cuda:2"))


def test_of_several_processes_each_takes_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    both = tuple(torch.device("cuda", number) for number in (1, 2))
    monkeypatch.setattr(machine, "pick_devices", lambda names, stage: both)
    for rank, device in enumerate(both):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        assert machine.training_device(("cuda:1", "cuda:2"), stage="toy") == device
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match="process 3 has no device"):
        machine.training_device(("cuda:1", "cuda:2"), stage="toy")


def test_bfloat16_keeps_what_is_trained_in_float32(toy: ModuleType, tmp_path: Path) -> None:
    from animegen.training.records import Order
    from animegen_torch.training.loop import train

    task, told = toy.Toy(dropout=0.0), []
    order = Order(30, 1)
    options = replace(toy.OPTIONS, schedule="constant")
    learnt = train(task, options, order, tmp_path, told.append, device=torch.device("cpu"), dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in learnt.trained.values()} == {torch.float32}
    assert told[-1].loss < 0.5 * told[0].loss
    assert told[0].loss != toy.run(tmp_path / "full", 1, task=toy.Toy(dropout=0.0)).loss
