"""A small thing to train, for tests in this process and in others: ``python training_toy.py OUT STEPS [KILL_AT]``."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from animegen.training.records import Order, TrainingStep
from animegen_torch.training.loop import Learnt, train
from animegen_torch.training.options import LoopOptions


class Net(nn.Module):
    """A frozen layer, a trained one, and dropout; its loss is that of copying a fixed rotation."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.frozen = nn.Linear(6, 8).requires_grad_(False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(8, 6)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)

    def forward(self, batch: Tensor) -> Tensor:
        given, wanted = batch.unbind(1)
        return nn.functional.mse_loss(self.out(self.dropout(torch.tanh(self.frozen(given)))), wanted)


class Toy:
    """A `animegen_torch.training.task.Task`."""

    def __init__(self, dropout: float = 0.2, bad: int = -1) -> None:
        self.module = Net(dropout)
        self.names = {"out.weight": "published.out.weight", "out.bias": "published.out.bias"}
        self.bad = bad
        self.asked: list[int] = []

    def sample(self, number: int) -> Tensor:
        self.asked.append(number)
        if number == self.bad:
            return torch.full((2, 6), torch.nan)
        given = torch.randn(6, generator=torch.Generator().manual_seed(number % 5))
        return torch.stack((given, given.roll(1)))

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(samples))


OPTIONS = LoopOptions(learning_rate=0.02, batch=2, save_every=4, ema=0.9, schedule="cosine", warmup=2)


def run(
    out: Path,
    steps: int,
    *,
    options: LoopOptions = OPTIONS,
    resume: bool = False,
    task: Toy | None = None,
    tell: object = None,
    seed: int = 7,
) -> Learnt:
    """Train a toy on the processor."""
    out.mkdir(parents=True, exist_ok=True)
    order = Order(steps, seed, resume)
    told = tell if callable(tell) else lambda step: None
    return train(task or Toy(), options, order, out, told, device=torch.device("cpu"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, steps, kill_at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    changed = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    task = Toy(dropout=changed.pop("dropout", 0.2))

    def tell(step: TrainingStep) -> None:
        if step.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    learnt = run(out, steps, options=LoopOptions(**{**OPTIONS.__dict__, **changed}), tell=tell, task=task)
    if learnt.main:
        torch.save((learnt.trained, learnt.average), out / "learnt.pt")
