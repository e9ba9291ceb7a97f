"""What the cross-attention of a U-Net reads, worked out once for a whole clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from animegen_torch.diffusion.attention import Keys


@dataclass(frozen=True)
class Context:
    """Keys and values of every cross-attention, by the name of its transformer, for B samples of T frames.

    They do not change between steps, and text ones not between frames: each is computed once and kept once.
    """

    keys: dict[str, tuple[Keys, ...]]
    samples: int
    frames: int

    def of(self, start: int, stop: int) -> Context:
        """The context of some of the samples; views, nothing is copied."""

        def cut(x: Tensor) -> Tensor:
            each = x.shape[0] // self.samples
            return x[start * each : stop * each]

        return Context(_each(cut, self.keys), stop - start, self.frames)

    def to(self, device: torch.device) -> Context:
        """The same on another device."""
        return Context(_each(lambda x: x.to(device), self.keys), self.samples, self.frames)

    def bytes(self) -> int:
        """Memory that the keys and values take."""
        tensors = [x for several in self.keys.values() for keys in several for x in keys.tensors()]
        return sum(x.numel() * x.element_size() for x in tensors)


def _each(change: Callable[[Tensor], Tensor], keys: dict[str, tuple[Keys, ...]]) -> dict[str, tuple[Keys, ...]]:
    def pair(two: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return change(two[0]), change(two[1])

    def all_of(several: Sequence[Keys]) -> tuple[Keys, ...]:
        return tuple(Keys(pair(one.text), None if one.image is None else pair(one.image)) for one in several)

    return {name: all_of(several) for name, several in keys.items()}
