"""Statistics of batch norms where several processes share a training: those that one process would have.

Each process sees its own batches only. Left alone, the statistics would be those of the first process, and the scores
of a validation, from which the rate and the best state follow, would be others in each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from animegen_torch.training.task import Task


class SharedStatistics:
    """The running statistics of a task's batch norms, brought together after each batch.

    Args:
        task: Those of its batch norms count whose statistics it names.
        accelerator: Of the training.
    """

    def __init__(self, task: Task, accelerator: Any) -> None:
        self._accelerator = accelerator
        norms: list[Any] = [
            norm
            for name, norm in task.module.named_modules()
            if isinstance(norm, _BatchNorm) and norm.momentum is not None and f"{name}.running_mean" in task.names
        ]
        self._moving: list[Tensor] = []
        if accelerator.num_processes == 1 or not norms:
            return
        self._counts: list[Tensor] = [norm.num_batches_tracked for norm in norms]
        self._moving = [one for norm in norms for one in (norm.running_mean, norm.running_var)]
        self._sizes = [one.numel() for one in self._moving]
        device, sizes = self._moving[0].device, torch.tensor(self._sizes)
        self._owner = torch.arange(len(norms)).repeat_interleave(sizes[::2] + sizes[1::2]).to(device)
        self._kept = torch.tensor([1 - norm.momentum for norm in norms], device=device)
        self._before, self._counted = torch.cat(self._moving), torch.stack(self._counts)

    def share(self) -> None:
        """After a batch of every process: as if one had seen them all, in the order of the processes."""
        if not self._moving:
            return
        times = torch.stack(self._counts) - self._counted  # a norm may have been asked several times for one batch
        kept = (self._kept**times)[self._owner]
        value, before = self._before, kept * self._before
        for found in self._accelerator.gather(torch.cat(self._moving)[None]):
            value = kept * value + (found - before)
        self._before, self._counted = value, self._counted + self._accelerator.num_processes * times
        for one, new in zip(self._moving, torch.split(value, self._sizes), strict=True):
            one.copy_(new)
        for count, new in zip(self._counts, self._counted, strict=True):
            count.copy_(new)
