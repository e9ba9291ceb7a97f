"""Parts of a model that are borrowed for as long as they run, so that whoever places them can bring and take them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")
Lend = Callable[[], AbstractContextManager[T]]
"""Gives a part, ready on its device, for as long as the block lasts."""


def lend(part: T) -> Lend[T]:
    """A part that stays where it is."""
    return lambda: nullcontext(part)


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
