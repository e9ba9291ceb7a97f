"""What is asked of ``animegen data``: the table ``[data]``. Light."""

from __future__ import annotations

from dataclasses import dataclass

from animegen.datasets.records import DataOrder
from animegen.options import option
from animegen.resumable.settings import WorkKind
from animegen.settings.resolve import DTYPES


@dataclass(frozen=True)
class DataOptions:
    """Options of any dataset's making; the table ``[data]``."""

    jobs: int = option(1, "Processes at once; each has a model of its own.", min=1, max=256)
    device: str = option("auto", "auto, cpu, cuda:0, or several, which the processes share: cuda:0,cuda:1.")
    dtype: str = option("auto", "Number format on the device.", choices=DTYPES)

    @property
    def order(self) -> DataOrder:
        """What the maker is told."""
        return DataOrder(self.jobs)


DATA = WorkKind("data", "dataset", DataOptions, decisive=("dtype",), smaller="fewer --jobs, or ")
