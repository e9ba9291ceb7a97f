"""What a training is asked to do: the table ``[train]``. Light."""

from __future__ import annotations

from dataclasses import dataclass

from animegen.options import option
from animegen.resumable.settings import WorkKind
from animegen.settings.resolve import DTYPES
from animegen.training.records import Order


@dataclass(frozen=True)
class TrainOptions:
    """Options of any training; the table ``[train]``."""

    steps: int = option(2000, "Steps of the optimiser, those before --resume included.", min=1)
    seed: int = option(123, "Start of the random numbers; the same seed on the same machine learns the same.", min=0)
    device: str = option("auto", "auto, cpu, cuda:0, or several, with a process for each: cuda:0,cuda:1.")
    dtype: str = option("auto", "Number format to compute in; what is trained stays in float32.", choices=DTYPES)

    def order(self, *, resume: bool) -> Order:
        """What the trainer is told."""
        return Order(self.steps, self.seed, resume)


TRAIN = WorkKind(
    "train",
    "trainer",
    TrainOptions,
    decisive=("seed", "dtype"),
    smaller="a smaller size or batch, or ",
    libraries=("accelerate", "safetensors"),
)
