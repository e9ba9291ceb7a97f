"""Statistics of batch norms that several processes move: those of one process that sees all batches."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from animegen_torch.training.statistics import SharedStatistics


class Net(nn.Module):
    """A batch norm that is asked once for a batch, and one that is asked twice."""

    def __init__(self) -> None:
        super().__init__()
        self.once, self.twice = nn.BatchNorm1d(3), nn.BatchNorm1d(5, momentum=0.3)

    def forward(self, batch: Tensor) -> None:
        self.once(batch[:, :3])
        self.twice(batch[:4])
        self.twice(batch[4:] * 2)


class Process:
    """One of several, with a network of its own."""

    def __init__(self, others: list[Process], processes: int) -> None:
        self.module = Net()
        self.names = {name: name for name, _ in self.module.named_buffers()}
        self.others, self.sent = others, torch.zeros(0)
        accelerator = SimpleNamespace(num_processes=processes, gather=self.gather)
        self.statistics = SharedStatistics(self, accelerator)  # type: ignore[arg-type]

    def send(self) -> None:
        self.sent = torch.cat([one for name, one in self.module.named_buffers() if "running" in name])

    def gather(self, mine: Tensor) -> Tensor:
        assert torch.equal(mine, self.sent[None])
        return torch.stack([one.sent for one in self.others])


@pytest.mark.parametrize("processes", [2, 3])
def test_they_are_those_of_one_process_that_sees_all_batches(processes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    alone, together = Net(), []
    together += [Process(together, processes) for _ in range(processes)]
    for _ in range(4):
        batches = [3 * torch.randn((8, 5), generator=generator) + 1 for _ in together]
        for batch, process in zip(batches, together, strict=True):
            alone(batch)
            process.module(batch)
            process.send()
        for process in together:
            process.statistics.share()
    wanted = dict(alone.named_buffers())
    for process in together:
        for name, buffer in process.module.named_buffers():
            torch.testing.assert_close(buffer, wanted[name], atol=1e-6, rtol=1e-6)
            assert torch.equal(buffer, dict(together[0].module.named_buffers())[name])
    assert int(wanted["twice.num_batches_tracked"]) == 8 * processes


def test_one_process_and_norms_that_stay_are_left_alone() -> None:
    process = Process([], 1)
    process.module(torch.ones(8, 5))
    before = {name: one.clone() for name, one in process.module.named_buffers()}
    process.statistics.share()
    other = Process([], 2)
    other.names = {}
    SharedStatistics(other, SimpleNamespace(num_processes=2, gather=None)).share()  # type: ignore[arg-type]
    for name, buffer in process.module.named_buffers():
        assert torch.equal(buffer, before[name])
