"""Parts of a model that are borrowed for as long as they run, so that whoever places them can bring and take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
Lend = Callable[[], AbstractContextManager[T]]
"""Gives a part, ready on its device, for as long as the block lasts."""


def lend(part: T) -> Lend[T]:
    """A part that stays where it is."""
    return lambda: nullcontext(part)


class Source(Protocol):
    """Where the parts of one model come from: files, or a seed where a run is to go without them."""

    def part(self, part: str, dtype: torch.dtype, device: torch.device) -> nn.Module:
        """A part, ready on a device; a new one each time."""
        ...

    def tensors(self, part: str, dtype: torch.dtype) -> Mapping[str, Tensor]:
        """The tensors of a part on the processor, under the names of its network."""
        ...

    def empty(self, part: str) -> nn.Module:
        """The network of a part on the meta device."""
        ...

    def layer_of(self, name: str) -> str:
        """The layer of the U-Net that one of its tensors belongs to; no residual reaches out of a layer."""
        ...


def device_of(network: nn.Module) -> torch.device:
    """Where a network computes, also where its weights are brought layer by layer (and lie on no device meanwhile)."""
    for module in network.modules():
        for one in module.parameters(recurse=False):
            if not one.is_meta:
                return one.device
            if hook := getattr(module, "_hf_hook", None):
                return torch.device(hook.execution_device)
    return torch.device("cpu")


def for_inference(network: nn.Module) -> nn.Module:
    """`network`, laid out as it runs best, where it knows how."""
    lay_out = getattr(network, "for_inference", None)
    if lay_out is not None:
        lay_out()
    return network.eval().requires_grad_(False)
