"""Brings parts to where a placement wants them, when they are wanted, and takes them away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from animegen_torch.memory import release
from animegen_torch.placement.lending import Lend, for_inference
from animegen_torch.placement.machine import dtype_named
from animegen_torch.placement.placement import UNET, Placement
from animegen_torch.placement.source import Source


class Residence:
    """The parts of one model in the places of a placement. Nothing is read before it is wanted.

    Args:
        source: Where parts come from.
        placement: Where they go.
        dtypes: Number format of what runs on each device.
    """

    def __init__(self, source: Source[Any], placement: Placement, dtypes: Mapping[str, str]) -> None:
        self.placement = placement
        self._source = source
        self._dtypes = dict(dtypes)
        self._staying: dict[tuple[str, str, torch.dtype], nn.Module] = {}
        self._resting: dict[tuple[str, torch.dtype], dict[str, Tensor]] = {}

    def lend(self, part: str, device: str | None = None, dtype: torch.dtype | None = None) -> Lend[Any]:
        """One part, on its own device or another, in its own number format or another."""
        place = device or self.placement.devices[part]
        kind = dtype or dtype_named(self._dtypes[place])

        def lend() -> AbstractContextManager[nn.Module]:
            return self._lent(part, place, kind)

        return lend

    def dtype_of(self, part: str) -> torch.dtype:
        """What a part computes in."""
        return dtype_named(self._dtypes[self.placement.devices[part]])

    def device_of(self, part: str) -> torch.device:
        """Where a part computes."""
        return torch.device(self.placement.devices[part])

    def close(self) -> None:
        """Let go of everything."""
        self._staying.clear()
        self._resting.clear()
        for device in self.placement.used:
            release(torch.device(device))

    @contextmanager
    def _lent(self, part: str, device: str, dtype: torch.dtype) -> Iterator[nn.Module]:
        key = (part, device, dtype)
        # Another format than its own is for once: what does not fit twice should not stay twice.
        if self.placement.stay and dtype == dtype_named(self._dtypes[device]):
            if key not in self._staying:
                self._staying[key] = self._brought(part, device, dtype)
            yield self._staying[key]
            return
        module: nn.Module | None = self._brought(part, device, dtype)
        try:
            assert module is not None
            yield module
        finally:
            module = None
            release(torch.device(device))

    def _brought(self, part: str, device: str, dtype: torch.dtype) -> nn.Module:
        place = torch.device(device)
        if part == UNET and self.placement.blocks:
            from animegen_torch.placement.blocks import in_blocks  # which needs accelerate

            return in_blocks(self._source, self.placement.blocks, dtype=dtype, device=place)
        if self.placement.stay or self.placement.rest == "file" or place.type == "cpu":
            module = self._source.part(part, dtype, place)
        else:
            if (part, dtype) not in self._resting:
                self._resting[part, dtype] = dict(self._source.tensors(part, dtype))
            module = self._source.empty(part)
            there = {name: one.to(place) for name, one in self._resting[part, dtype].items()}
            module.load_state_dict(there, assign=True)
        return for_inference(module)
