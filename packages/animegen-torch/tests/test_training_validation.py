"""Validation on the way: statistics that move, the best state, the rate on a plateau, and no trace of a stop."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from animegen.errors import InterruptedRun
from animegen.training.records import Order, TrainingStep
from animegen_torch.training.loop import Learnt, train
from animegen_torch.training.options import LoopOptions, ValidatedOptions
from animegen_torch.training.validation import Plateau

OPTIONS = ValidatedOptions(
    learning_rate=0.05, batch=4, save_every=3, validate_every=2, patience=1, lower=0.5, weight_decay=0.0, clip=0.0
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Net(nn.Module):
    """A line through a batch norm, and a frozen batch norm before it whose statistics move all the same."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.still = nn.BatchNorm1d(3).requires_grad_(False)
        self.norm = nn.BatchNorm1d(3)
        self.out = nn.Linear(3, 1)
        with torch.no_grad():
            self.out.weight.copy_(torch.randn((1, 3), generator=generator))
            self.out.bias.zero_()

    def forward(self, batch: Tensor) -> Tensor:
        given, wanted = batch[:, :3], batch[:, 3:]
        return nn.functional.mse_loss(self.out(self.norm(self.still(given))), wanted)


@dataclass
class Task:
    """What is trained, with scores that may be dictated."""

    dictated: Sequence[float] = ()
    watched: str = "loss"

    def __post_init__(self) -> None:
        self.module = Net()
        learns = [name for name, parameter in self.module.named_parameters() if parameter.requires_grad]
        self.names = {name: f"net.{name}" for name in (*learns, *(name for name, _ in self.module.named_buffers()))}
        self._asked = 0

    def sample(self, number: int) -> Tensor:
        given = torch.randn(3, generator=torch.Generator().manual_seed(number % 40)) * 2 + 1
        return torch.cat((given, given.sum()[None]))

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(samples))

    def validate(self) -> Mapping[str, float]:
        self._asked += 1
        if self.dictated:
            return {"loss": self.dictated[self._asked - 1], "other": float(self._asked)}
        self.module.eval()
        loss = float(self.module(self.collate([self.sample(number) for number in range(8)])))
        self.module.train()
        return {"loss": loss}


def run(
    out: Path, steps: int, task: Task | None = None, *, resume: bool = False, tell: Any = None, options: Any = OPTIONS
) -> Learnt:
    out.mkdir(parents=True, exist_ok=True)
    told = tell or (lambda step: None)
    return train(task or Task(), options, Order(steps, 3, resume), out, told, device=torch.device("cpu"))


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def table(out: Path) -> list[list[str]]:
    with (out / "validation.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_statistics_are_saved_and_taken_up(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 10)
    assert {"net.still.running_mean", "net.norm.running_var", "net.norm.num_batches_tracked"} <= whole.buffers.keys()
    assert int(whole.buffers["net.still.num_batches_tracked"]) == 10
    assert not torch.equal(whole.buffers["net.still.running_mean"], torch.zeros(3))
    assert "net.still.weight" not in whole.trained

    def stop(step: TrainingStep) -> None:
        if step.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun):
        run(tmp_path / "cut", 10, tell=stop)
    again = run(tmp_path / "cut", 10, resume=True)
    assert same(whole.trained, again.trained) and same(whole.buffers, again.buffers)
    assert table(tmp_path / "cut") == table(tmp_path / "whole")
    assert again.best is not None and whole.best is not None
    assert again.best.step == whole.best.step and same(again.best.trained, whole.best.trained)


def test_the_best_state_is_kept_not_the_last(tmp_path: Path) -> None:
    scores = [5.0, 3.0, 4.0, 6.0]
    learnt = run(tmp_path / "all", 8, Task(scores))
    short = run(tmp_path / "short", 4, Task(scores))
    assert learnt.best is not None and learnt.best.step == 4
    assert same(learnt.best.trained, short.trained) and same(learnt.best.buffers, short.buffers)
    other = run(tmp_path / "other", 8, Task(scores, watched="other"))
    assert other.best is not None and other.best.step == 2
    assert [row[:3] for row in table(tmp_path / "all")] == [
        ["step", "loss", "other"],
        *([str(2 * n), f"{score:g}", str(n)] for n, score in enumerate(scores, 1)),
    ]


def test_a_plateau_lowers_the_rate_also_after_a_stop(tmp_path: Path) -> None:
    scores = [5.0, 5.0, 5.0, 5.0, 5.0, 4.0]
    rates: list[float] = []
    whole = run(tmp_path / "whole", 12, Task(scores), tell=lambda step: rates.append(step.learning_rate))
    # Lowered after the third loss (two no better than the first), and after the fifth.
    assert rates == [0.05] * 6 + [0.025] * 4 + [0.0125] * 2

    def kill(step: TrainingStep) -> None:
        if step.step == 8:  # the last save is of step 6; the validation at 8 is made once more
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        run(tmp_path / "cut", 12, Task(scores), tell=kill)
    again = run(tmp_path / "cut", 12, Task(scores[3:]), resume=True)
    assert same(whole.trained, again.trained)
    assert [row[0] for row in table(tmp_path / "cut")[1:]] == ["2", "4", "6", "8", "10", "12"]


def test_a_best_state_of_a_killed_run_does_not_outlive_it(tmp_path: Path) -> None:
    def kill(step: TrainingStep) -> None:
        if step.step == 8:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        run(tmp_path, 12, Task([5.0, 5.0, 5.0, 1.0]), tell=kill)
    again = run(tmp_path, 12, Task([6.0, 4.0, 6.0]), resume=True)  # as if a GPU had rounded otherwise
    assert again.best is not None and again.best.step == 10


def test_plateau_is_that_of_torch() -> None:
    losses = torch.rand(200, generator=torch.Generator().manual_seed(1)).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3, eps=0.0)
    ours = Plateau(3, 0.5)
    for loss in losses:
        theirs.step(loss)
        ours.take(loss)
        assert optimizer.param_groups[0]["lr"] == ours.factor
    assert ours.factor < 1e-6


def test_without_validation_nothing_of_it_is_there(tmp_path: Path) -> None:
    learnt = run(tmp_path, 3, options=replace(OPTIONS, validate_every=0))
    assert learnt.best is None and not (tmp_path / "validation.csv").exists() and not (tmp_path / "best").exists()
    assert run(tmp_path / "plain", 3, options=LoopOptions(learning_rate=0.05, batch=4)).best is None
    with pytest.raises(AssertionError):
        assert same(learnt.trained, run(tmp_path / "other", 4, options=replace(OPTIONS, validate_every=0)).trained)


def test_scores_go_to_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path, 4, Task([5.0, 3.0]), options=replace(OPTIONS, tensorboard=True))
    (folder,) = {path.parent for path in tmp_path.rglob("events.out.tfevents*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("validation/loss")] == [(2, 5.0), (4, 3.0)]
    assert len(events.Scalars("loss")) == 4
