"""Samples by number: which triplet, whether mirrored, whether backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animegen_eisai.training.material import Triplet
from animegen_eisai.training.options import EisaiTrainingOptions
from animegen_torch.training.loop import derived_seed


@dataclass(frozen=True)
class Draw:
    """What the sample of a number is."""

    triplet: Triplet
    mirrored: bool
    reversed: bool

    def read(self, height: int, width: int) -> dict[str, Tensor | None]:
        """As `Triplet.read`."""
        found = self.triplet.read(height, width)
        images, flows = found["images"], found["flows"]
        assert images is not None
        if self.mirrored:
            images = images.flip(3)
            if flows is not None:
                flows = flows.flip(3) * flows.new_tensor((-1, 1)).view(1, 2, 1, 1)
        if self.reversed:
            images = images.flip(0)
            flows = None if flows is None else flows.flip(0)
        return {"images": images, "flows": flows}


class Stream:
    """An endless stream of triplets: each once, in an order drawn anew for each round.

    Args:
        triplets: Those to learn from.
        options: `mirror` and `reverse`.
        seed: The same seed gives the same stream.
    """

    def __init__(self, triplets: Sequence[Triplet], options: EisaiTrainingOptions, seed: int) -> None:
        self._triplets, self._options, self._seed = triplets, options, seed

    def draw(self, number: int) -> Draw:
        """The sample of that number."""
        round_, place = divmod(number, len(self._triplets))
        order = np.random.default_rng(derived_seed(self._seed, 1, round_)).permutation(len(self._triplets))
        chance = np.random.default_rng(derived_seed(self._seed, 2, number)).random(2)
        options = self._options
        return Draw(
            self._triplets[int(order[place])], bool(chance[0] < options.mirror), bool(chance[1] < options.reverse)
        )


def hold_out(triplets: Sequence[Triplet], share: float, seed: int) -> tuple[list[Triplet], list[Triplet]]:
    """Those to learn from, and those to validate on: at least one where there are two; with no share, all are both."""
    if not share or len(triplets) < 2:
        return list(triplets), list(triplets)
    count = max(1, round(share * len(triplets)))
    order = np.random.default_rng(derived_seed(seed, 3)).permutation(len(triplets)).tolist()
    held = set(order[:count])
    return (
        [one for number, one in enumerate(triplets) if number not in held],
        [one for number, one in enumerate(triplets) if number in held],
    )


def collate(samples: Sequence[dict[str, Tensor | None]]) -> dict[str, Any]:
    """Samples as one batch; flows that are yet to be found are left out of all."""
    images = [one["images"] for one in samples]
    flows = [one["flows"] for one in samples]
    batch: dict[str, Any] = {"images": torch.stack([image for image in images if image is not None])}
    if all(flow is not None for flow in flows):
        batch["flows"] = torch.stack([flow for flow in flows if flow is not None])
    return batch
