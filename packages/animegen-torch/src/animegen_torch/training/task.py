"""What a plugin gives the loop: something to train, and samples by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn


class Task(Protocol):
    """One thing to train."""

    @property
    def module(self) -> nn.Module:
        """Called with a batch, gives the loss of it, a mean over its samples.

        Its parameters that need gradients are the ones that move; the others stay as they are, bit for bit. It draws
        random numbers only from torch's default generators, which are set anew before each call.
        """
        ...

    @property
    def names(self) -> Mapping[str, str]:
        """Name of each trained parameter in the files that are saved, by its name in `module`.

        And of each buffer that moves while it is trained (statistics of batch norms), which is then saved too.
        """
        ...

    def sample(self, number: int) -> Any:
        """The sample of that number in a stream without end; the same whenever and wherever it is asked for."""
        ...

    def collate(self, samples: Sequence[Any]) -> Any:
        """Samples as one batch: a tensor, or a dict or sequence of such things, on the processor."""
        ...


def trained(task: Task) -> dict[str, nn.Parameter]:
    """The parameters that move, by their names in files."""
    return {
        task.names[name]: parameter for name, parameter in task.module.named_parameters() if parameter.requires_grad
    }


def moving(task: Task) -> dict[str, Tensor]:
    """The buffers that move, by their names in files."""
    return {task.names[name]: buffer for name, buffer in task.module.named_buffers() if name in task.names}


def to_device(batch: Any, device: Any) -> Any:
    """A batch with all its tensors on `device`."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: to_device(part, device) for name, part in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)(to_device(part, device) for part in batch)
    return batch
