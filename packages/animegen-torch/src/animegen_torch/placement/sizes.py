"""Sizes of a model before it is loaded, from networks made without memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from animegen_torch.placement.placement import UNET
from animegen_torch.placement.source import Blueprint

M = TypeVar("M")


@dataclass(frozen=True)
class Sizes(Generic[M]):
    """What is known of a model before it is loaded.

    Attributes:
        model: Sizes of all parts.
        parameters: Numbers in each part.
        layers: Numbers in each layer of the U-Net, by its name; together those of the part.
        largest: Numbers in the largest single weight of the U-Net: so much of a layer comes at once.
    """

    model: M
    parameters: Mapping[str, int]
    layers: Mapping[str, int]
    largest: int

    @classmethod
    def of(cls, blueprint: Blueprint[M], model: M) -> Sizes[M]:
        """Those of a model with these sizes."""
        numbers = {
            part: {name: one.numel() for name, one in blueprint.empty(part, model).state_dict().items()}
            for part in blueprint.parts
        }
        layers: Counter[str] = Counter()
        for name, count in numbers[UNET].items():
            layers[blueprint.layer_of(name)] += count
        total = {part: sum(tensors.values()) for part, tensors in numbers.items()}
        return cls(model, total, layers, max(numbers[UNET].values()))
