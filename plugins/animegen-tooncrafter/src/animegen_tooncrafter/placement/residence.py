"""Brings parts to where a placement wants them, when they are wanted, and takes them away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from animegen_tooncrafter.checkpoint import new_part
from animegen_tooncrafter.diffusion.sketch_encoder import SketchEncoder
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.placement.blocks import in_blocks
from animegen_tooncrafter.placement.machine import dtype_named
from animegen_tooncrafter.placement.placement import Placement
from animegen_tooncrafter.placement.source import Source
from animegen_tooncrafter.synthesis import Lend, Parts
from animegen_torch.memory import release


class Residence:
    """The parts of one model in the places of a placement. Nothing is read before it is wanted.

    Args:
        source: Where parts come from.
        placement: Where they go.
        dtypes: Number format of what runs on each device.
    """

    def __init__(self, source: Source, placement: Placement, dtypes: Mapping[str, str]) -> None:
        self.placement = placement
        self._source = source
        self._dtypes = dict(dtypes)
        self._staying: dict[tuple[str, str, torch.dtype], nn.Module] = {}
        self._resting: dict[tuple[str, torch.dtype], dict[str, Tensor]] = {}
        self.schedule, self.other_tables = source.schedule()

    def parts(self) -> Parts:
        """All of them, to be borrowed."""
        twin = self.placement.twin
        return Parts(
            text=self.lend("text"),
            image=self.lend("image"),
            projector=self.lend("projector"),
            unet=self.lend("unet"),
            first_stage=self.lend("first_stage"),
            schedule=self.schedule,
            twin=None if twin is None else self.lend("unet", twin),
        )

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
        if part == "unet" and self.placement.blocks:
            return in_blocks(self._source, self.placement.blocks, dtype=dtype, device=place)
        if self.placement.stay or self.placement.rest == "file" or place.type == "cpu":
            module = self._source.part(part, dtype, place)
        else:
            if (part, dtype) not in self._resting:
                self._resting[part, dtype] = dict(self._source.tensors(part, dtype))
            with torch.device("meta"):
                module = new_part(part, self._source.model)
            there = {name: one.to(place) for name, one in self._resting[part, dtype].items()}
            module.load_state_dict(there, assign=True)
            module.eval().requires_grad_(False)
        if isinstance(module, (UNet, SketchEncoder)):
            module.for_inference()
        return module
